//! A terminal for a program that wants one: a pair of devices, the program on one end and a test on
//! the other, which types and reads what is painted.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::support::PATIENCE;

/// A program on a terminal of its own; killed when dropped.
pub struct Screen {
    pub child: Child,
    keyboard: File,
    /// The program's end, to see in what state it is left.
    device: Option<File>,
    painted: Receiver<Vec<u8>>,
    /// All that was painted so far.
    pub text: String,
}

impl Screen {
    /// Starts the program on a terminal of 100 columns and 30 rows.
    pub fn start(command: &mut Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let device = File::from(ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        tcsetwinsize(&device, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = || Stdio::from(device.try_clone().unwrap());
        command.env("TERM", "xterm-256color").env("NO_COLOR", "1");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(ours);
        let mut output = keyboard.try_clone().unwrap();
        let (sender, painted) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Screen { child, keyboard, device: Some(device), painted, text: String::new() }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is painted, after what was painted before.
    pub fn shows(&mut self, expected: &str) {
        let begin = self.text.len();
        while !self.text[begin..].contains(expected) {
            let more = self.painted.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{expected:?} does not show: {:?}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Waits for its end; its exit code, and whether the terminal is as it was: on its first screen,
    /// with a cursor, lines edited and letters shown as they are typed.
    pub fn ended(&mut self) -> (Option<i32>, bool) {
        let code = self.child.wait().unwrap().code();
        let modes = tcgetattr(self.device.as_ref().unwrap()).unwrap().local_modes;
        // Nobody has that end any more, so ours ends as well.
        self.device = None;
        while let Ok(more) = self.painted.recv_timeout(PATIENCE) {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        let was_left = self.text.contains("\x1b[?1049l") && self.text.contains("\x1b[?25h");
        (code, was_left && modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
