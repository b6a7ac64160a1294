//! Segment files: `journal/00000001.log` and so on.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use provost_policy::Moment;

use super::chain::{Mac, push_hex};
use super::decode::{self, Header};
use super::disk::Disk;
use super::encode;
use super::kind::{FORMAT, Kind};
use super::walk::split;
use crate::clock::Clock;
use crate::private::{new_private, remove};
use crate::timeline::Timeline;

/// What stands in the header of a new segment.
pub(crate) struct NewSegment<'a> {
    pub(crate) timeline: &'a Timeline,
    pub(crate) segment: u32,
    pub(crate) key: u32,
    pub(crate) prev_number: u64,
    pub(crate) prev_mac: Mac,
}

/// The file of a segment.
pub(crate) fn path(directory: &Path, segment: u32) -> PathBuf {
    directory.join(format!("{segment:08}.log"))
}

/// The segments there are, in order.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u32>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number: Option<u32> = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|name| name.parse().ok());
        segments.extend(number);
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Makes the file of a new segment. One that holds an entry is never written
/// over; one that a full disk left without is made again.
pub(super) fn create(directory: &Path, segment: u32) -> io::Result<()> {
    let path = path(directory, segment);
    match new_private().open(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if memchr::memchr(b'\n', &std::fs::read(&path)?).is_some() {
                return Err(error);
            }
            std::fs::remove_file(&path)?;
            new_private().open(&path).map(drop)
        }
        made => made.map(drop),
    }
}

/// Puts a new file with these bytes in the place of a segment's; what comes
/// next can be appended to it.
pub(super) fn replace(path: &Path, bytes: &[u8], disk: &Disk) -> io::Result<File> {
    let unfinished = path.with_extension("log.new");
    remove(&unfinished)?;
    let mut file = new_private().read(true).append(true).open(&unfinished)?;
    file.write_all(bytes)?;
    disk.sync_all(&file)?;
    std::fs::rename(&unfinished, path)?;
    Ok(file)
}

/// Whether a segment's path still names the file that is written. A file that
/// was removed, moved or replaced takes what is written and keeps it for nobody.
pub(super) fn is_in_place(directory: &Path, segment: u32, file: &File) -> io::Result<()> {
    let path = path(directory, segment);
    let written = file.metadata()?;
    let is_same = match std::fs::symlink_metadata(&path) {
        Ok(named) => named.dev() == written.dev() && named.ino() == written.ino(),
        Err(error) if is_nowhere(&error) => false,
        Err(error) => return Err(error),
    };
    if is_same && written.nlink() > 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "`{}` was removed, moved or replaced while it was written",
        path.display()
    )))
}

/// Whether the path leads nowhere.
fn is_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens the last segment to go on with it.
pub(super) fn open_to_append(directory: &Path, segment: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .open(path(directory, segment))
}

/// The body of a segment's first entry.
pub(super) fn header_body(out: &mut Vec<u8>, new: &NewSegment<'_>, clock: &Clock) {
    encode::begin(out, Kind::Segment, clock.now());
    encode::number_field(out, "format", u64::from(FORMAT));
    encode::text_field(out, "node", &new.timeline.node);
    encode::number_field(out, "epoch", u64::from(new.timeline.epoch));
    encode::number_field(out, "segment", u64::from(new.segment));
    encode::number_field(out, "key", u64::from(new.key));
    encode::text_field(out, "boot", clock.boot());
    out.extend_from_slice(b",\"prev\":");
    push_link(out, new.prev_number, &new.prev_mac);
    out.push(b'}');
}

/// An entry named by number and mac.
pub(super) fn push_link(out: &mut Vec<u8>, number: u64, mac: &Mac) {
    out.extend_from_slice(b"{\"n\":");
    encode::number(out, number);
    out.extend_from_slice(b",\"mac\":\"");
    push_hex(out, mac);
    out.extend_from_slice(b"\"}");
}

/// So much is read at once where a file is read from its end.
const BLOCK: u64 = 1 << 20;

/// The first line of a segment, without its newline.
pub(crate) fn first_line(directory: &Path, segment: u32) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    BufReader::new(File::open(path(directory, segment))?).read_until(b'\n', &mut text)?;
    text.pop_if(|last| *last == b'\n');
    Ok(text)
}

/// What stands in a file from one place to another.
pub(crate) fn part(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// The blocks of a file, the last one first: where each begins and ends.
pub(crate) fn blocks_from_the_end(length: u64) -> impl Iterator<Item = (u64, u64)> {
    let ends = std::iter::successors(Some(length), |end| Some(end.saturating_sub(BLOCK)));
    ends.take_while(|end| *end > 0)
        .map(|end| (end.saturating_sub(BLOCK), end))
}

/// Where the last whole line of a file ends.
pub(super) fn last_line_end(file: &File, length: u64) -> io::Result<u64> {
    for (from, to) in blocks_from_the_end(length) {
        if let Some(place) = memchr::memrchr(b'\n', &part(file, from, to)?) {
            return Ok(from + place as u64 + 1);
        }
    }
    Ok(0)
}

/// The header of a segment and when it was written; `None` if its first line
/// is damaged. Whether its mac holds is for a walk to say.
pub(crate) fn first_entry(directory: &Path, segment: u32) -> io::Result<Option<(Header, Moment)>> {
    let text = first_line(directory, segment)?;
    Ok(split(&text)
        .and_then(|(payload, _)| Some((decode::header(payload)?, decode::moment(payload)?))))
}
