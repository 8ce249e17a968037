//! How much memory this process may use: the machine's, or less where a control group says so.
//!
//! Both versions of control groups are read, and every ancestor of the process's own group, since
//! any of them may be the one that limits it. The files are read through a function argument, so
//! the rules can be tested without the machine.

/// Used where nothing can be read, bytes: small enough for any machine, large enough to work.
const FALLBACK_BYTES: u64 = 1 << 30;

/// Control groups of version 1 say "no limit" with a number close to 2^63.
const UNLIMITED_BYTES: u64 = 1 << 60;

/// The bytes this process may use.
pub fn available() -> u64 {
    limit(|path| std::fs::read_to_string(path).ok()).unwrap_or(FALLBACK_BYTES)
}

/// The smallest limit that the files name; `None` where no file names any.
pub fn limit(read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| total(&text));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let grouped = groups
        .lines()
        .filter_map(limit_files)
        .flatten()
        .filter_map(|file| read(&file)?.trim().parse::<u64>().ok())
        .filter(|bytes| *bytes < UNLIMITED_BYTES);
    grouped.chain(machine).min()
}

/// `MemTotal` of `/proc/meminfo`, bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The files that may limit a group, for one line `id:controllers:path` of `/proc/self/cgroup`.
fn limit_files(line: &str) -> Option<Vec<String>> {
    let mut fields = line.splitn(3, ':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (root, file) = if id == "0" && controllers.is_empty() {
        ("/sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return None;
    };
    let mut files = vec![format!("{root}/{file}")];
    let mut group = String::from(root);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        group = format!("{group}/{part}");
        files.push(format!("{group}/{file}"));
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16384000 kB\nMemFree:          100 kB\n";

    fn limit_of(files: &[(&str, &str)]) -> Option<u64> {
        limit(|path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn without_control_groups_it_is_the_memory_of_the_machine() {
        assert_eq!(limit_of(&[("/proc/meminfo", MEMINFO)]), Some(16_384_000 * 1024));
        assert_eq!(limit_of(&[]), None);
        assert_eq!(limit_of(&[("/proc/meminfo", "MemTotal: many kB")]), None);
    }

    #[test]
    fn the_tightest_ancestor_of_a_version_2_group_counts() {
        let files = [
            ("/proc/meminfo", MEMINFO),
            ("/proc/self/cgroup", "0::/pod/bugle\n"),
            ("/sys/fs/cgroup/memory.max", "max\n"),
            ("/sys/fs/cgroup/pod/memory.max", "536870912\n"),
            ("/sys/fs/cgroup/pod/bugle/memory.max", "1073741824\n"),
        ];
        assert_eq!(limit_of(&files), Some(512 << 20));
    }

    #[test]
    fn a_version_1_group_counts_and_its_no_limit_does_not() {
        let own = "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes";
        let mut files = [
            ("/proc/meminfo", MEMINFO),
            ("/proc/self/cgroup", "12:cpu,cpuacct:/docker/1\n9:memory:/docker/1\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            (own, "268435456\n"),
        ];
        assert_eq!(limit_of(&files), Some(256 << 20));
        files[3] = (own, "9223372036854771712\n");
        assert_eq!(limit_of(&files), Some(16_384_000 * 1024));
    }

    #[test]
    fn inside_a_container_the_group_is_the_root() {
        let files = [("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "134217728\n")];
        assert_eq!(limit_of(&files), Some(128 << 20));
    }
}
