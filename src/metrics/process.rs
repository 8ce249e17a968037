//! What the system tells of a process in `/proc`; `None` where there is no such thing.

use std::fs;
use std::time::Duration;

/// User and system time of all threads of a process, those that ended included; `self` is this one.
pub fn cpu(pid: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may hold anything; utime and stime are the 12th and 13th
    // field behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Resident memory of a process, bytes.
pub fn resident_bytes(pid: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Files that this process has open.
pub fn open_files() -> Option<u64> {
    // Linux says since 6.2 how many there are without listing a hundred thousand.
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // The directory itself is one of them while it is read.
        0 => fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

/// Files that this process may have open; `None` where there is no limit.
pub fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_read() {
        assert!(cpu("self").is_some() && resident_bytes("self").unwrap() > 0);
        let before = open_files().unwrap();
        let file = fs::File::open("/proc/self/stat").unwrap();
        assert!(open_files().unwrap() > before || open_files_max().is_some());
        drop(file);
        assert_eq!(cpu("0"), None);
    }
}
