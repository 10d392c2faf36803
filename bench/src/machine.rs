//! The machine that the figures come from.

use std::{fs, path::Path, process::Command, thread};

/// One line: processor, system, disk, compiler. What cannot be found out is "unknown".
pub fn description(folder: &Path) -> String {
    let (cpu, cores) = processor();
    let memory = read("/proc/meminfo")
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or_else(unknown, |kib| format!("{:.0} GB", kib as f64 * 1024.0 / 1e9));
    let kernel = read("/proc/sys/kernel/osrelease");
    // What follows a hyphen is the distribution's own.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler
        .map_or_else(|_| unknown(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let disk = file_system(&read("/proc/self/mounts"), folder).unwrap_or_else(unknown);
    format!("{cpu}, {cores} cores, {memory}; Linux {kernel}; {disk}; {compiler}")
}

/// What a file may be called after: processor and cores, in lower case, with hyphens.
pub fn name() -> String {
    let (cpu, cores) = processor();
    let words = format!("{cpu} {cores} cores");
    let words = words.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// Today, as `2026-01-31`, in UTC.
pub fn date() -> String {
    jiff::Timestamp::now().strftime("%F").to_string()
}

fn processor() -> (String, String) {
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split_once(": ")))
        .map_or_else(unknown, |(_, model)| model.to_owned());
    let cores = thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string());
    (cpu, cores)
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Kind and device of the file system that `folder` is on: that of the longest path that leads there.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(place).then_some((place.len(), format!("{kind} on {device}")))
    });
    // Of two mounts in one place the later one counts.
    mounts.max_by_key(|(length, _)| *length).map(|(_, description)| description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_file_system_counts() {
        let root = Path::new("/");
        assert_eq!(file_system("/dev/a / ext4 rw 0 0\n", root).as_deref(), Some("ext4 on /dev/a"));
        let mounts = "overlay / overlay rw 0 0\n/dev/a / ext4 rw 0 0\ntmpfs /proc tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, root).as_deref(), Some("ext4 on /dev/a"));
        assert_eq!(file_system(mounts, Path::new("/proc")).as_deref(), Some("tmpfs on tmpfs"));
        assert_eq!(file_system("", root), None);
    }
}
