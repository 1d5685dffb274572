//! Checksums over the bytes of a Parquet file's row groups.
//!
//! Parquet as we write it has none. Without them, a damaged page may be read as other rows, and some
//! damage makes the parquet crate panic. The key `wayside.row_groups` in the footer lists ranges of
//! bytes, one after the other from the file's beginning: `groups:end:crc32`, where `groups` is the
//! number of row groups that end with the range.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crc32fast::Hasher;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{KeyValue, ParquetMetaData};

const KEY: &str = "wayside.row_groups";

/// Sums what is written through it.
pub(super) struct Summed<W> {
    out: W,
    sum: Hasher,
}

impl<W> Summed<W> {
    pub fn new(out: W) -> Self {
        Self { out, sum: Hasher::new() }
    }

    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The ranges of a file that is being written.
#[derive(Default)]
pub(super) struct RangeSums {
    groups: usize,
    ranges: Vec<String>,
}

impl RangeSums {
    /// Ends a range behind the row groups that are complete, if there are new ones.
    pub fn add<W: Write + Send>(&mut self, out: &mut ArrowWriter<Summed<W>>) -> Result<(), String> {
        let groups = out.flushed_row_groups().len();
        if groups > self.groups {
            self.groups = groups;
            out.sync().map_err(|error| error.to_string())?;
            let end = out.bytes_written();
            let sum = std::mem::take(&mut out.inner_mut().sum).finalize();
            self.ranges.push(format!("{groups}:{end}:{sum:08x}"));
        }
        Ok(())
    }

    pub fn to_pair(&self) -> KeyValue {
        KeyValue::new(KEY.to_owned(), self.ranges.join(" "))
    }
}

/// The ranges of a file that is being read.
pub(super) struct RangeCheck {
    ranges: Vec<Range>,
}

struct Range {
    /// Row groups up to its end.
    groups: usize,
    start: u64,
    end: u64,
    sum: u32,
    /// Once it was looked at.
    whole: Option<bool>,
}

impl RangeCheck {
    /// Files from elsewhere have no ranges.
    pub fn of(metadata: &ParquetMetaData) -> Self {
        let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let text = pairs.filter(|pair| pair.key == KEY).find_map(|pair| pair.value.as_deref());
        let mut ranges = Vec::new();
        let mut start = 0;
        for part in text.unwrap_or_default().split(' ').filter(|part| !part.is_empty()) {
            let mut numbers = part.split(':');
            let groups = numbers.next().and_then(|text| text.parse().ok());
            let end = numbers.next().and_then(|text| text.parse().ok());
            let sum = numbers.next().and_then(|text| u32::from_str_radix(text, 16).ok());
            // One that cannot be read speaks for all groups that follow, and for none rightly.
            ranges.push(Range {
                groups: groups.unwrap_or(usize::MAX),
                start,
                end: end.unwrap_or(start),
                sum: sum.unwrap_or_default(),
                whole: (groups.is_none() || end.is_none() || sum.is_none()).then_some(false),
            });
            start = end.unwrap_or(start);
        }
        Self { ranges }
    }

    /// Whether the bytes of a row group are what was written.
    pub fn check(&mut self, group: usize, file: &File) -> Result<(), String> {
        let Some(range) = self.ranges.iter_mut().find(|range| range.groups > group) else {
            return Ok(());
        };
        let whole = match range.whole {
            Some(whole) => whole,
            None => range.is_whole(file).map_err(|error| error.to_string())?,
        };
        range.whole = Some(whole);
        if whole { Ok(()) } else { Err("the bytes do not give their checksum".to_owned()) }
    }
}

impl Range {
    fn is_whole(&self, mut file: &File) -> io::Result<bool> {
        file.seek(SeekFrom::Start(self.start))?;
        let mut input = file.take(self.end.saturating_sub(self.start));
        let mut hasher = Hasher::new();
        let mut block = vec![0; 64 << 10];
        loop {
            let read = input.read(&mut block)?;
            if read == 0 {
                return Ok(hasher.finalize() == self.sum);
            }
            hasher.update(block.get(..read).unwrap_or_default());
        }
    }
}
