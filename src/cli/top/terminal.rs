//! The terminal while `bugle top` has it: raw, on its other screen, without a cursor.
//!
//! It is given back when the value goes, so also on an error, and by a panic before it says
//! anything, which would be lost on the other screen.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

use crate::cli::paint::{Ink, Line};
use crate::error::{Code, Error, Result};

/// Whether the terminal is ours, to give it back once.
static TAKEN: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();

/// See the module.
pub(super) struct Terminal {
    ink: Ink,
}

impl Terminal {
    /// Takes the terminal.
    pub(super) fn take(ink: Ink) -> Result<Self> {
        PANIC_HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                told(panic);
            }));
        });
        // Before anything is changed, so that what a failure leaves is given back too.
        TAKEN.store(true, Ordering::SeqCst);
        let terminal = Terminal { ink };
        enable_raw_mode().map_err(broken)?;
        // Without line breaks of its own: it may think a letter wider than we do.
        execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide).map_err(broken)?;
        Ok(terminal)
    }

    /// Columns and rows; those of old for a terminal that does not know.
    pub(super) fn size(&self) -> Result<(usize, usize)> {
        match size().map_err(broken)? {
            (0, _) | (_, 0) => Ok((80, 24)),
            (width, height) => Ok((width.into(), height.into())),
        }
    }

    /// Draws a screen over the one before it, in one write and so without flicker.
    pub(super) fn draw(&self, lines: &[Line]) -> Result<()> {
        let mut screen = Vec::new();
        self.queue(&mut screen, lines).map_err(broken)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&screen).and_then(|()| stdout.flush()).map_err(broken)
    }

    fn queue(&self, screen: &mut Vec<u8>, lines: &[Line]) -> io::Result<()> {
        queue!(screen, BeginSynchronizedUpdate)?;
        for (row, line) in (0u16..).zip(lines) {
            queue!(screen, MoveTo(0, row), Clear(ClearType::CurrentLine))?;
            screen.extend_from_slice(line.painted(self.ink).as_bytes());
        }
        queue!(screen, EndSynchronizedUpdate)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nobody left to tell, and each has to be tried whatever became of the other.
        let _ = execute!(io::stdout(), EndSynchronizedUpdate, Show, EnableLineWrap, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn broken(error: io::Error) -> Error {
    Error::new(Code::Internal, format!("the terminal cannot be used: {error}")).because(error)
}
