//! Recordings in Parquet: rows to records and back.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::KeyValue;

use super::super::columnar::{self, caught};
use super::reader::Entry;
use super::sums::{RangeCheck, RangeSums, Summed};
use super::{MAX_LINE_BYTES, Record};
use crate::domain::time::Timestamp;

const TS: &str = "ts";
const PUB: &str = "pub";
const TOPIC: &str = "topic";
const PAYLOAD: &str = "payload";

/// Rows taken at once: a few hundred messages bound the memory, whatever the file's row groups are.
const BATCH_ROWS: usize = 256;

/// Key in the footer: CRC-32 over all records, as [`Checksum`] takes them. It speaks for what the
/// footer makes of the bytes, which have checksums of their own (`sums`).
const CHECKSUM: &str = "wayside.crc32";

/// Over the records of a file: Parquet's own pages carry none.
#[derive(Clone, Default)]
struct Checksum(crc32fast::Hasher);

impl Checksum {
    fn add(&mut self, record: &Record) {
        let published = record.published.map_or(i64::MIN, Timestamp::millis);
        for part in [
            &record.ts.millis().to_le_bytes()[..],
            &published.to_le_bytes(),
            &(record.topic.len() as u64).to_le_bytes(),
            record.topic.as_bytes(),
            &(record.payload.len() as u64).to_le_bytes(),
            &record.payload,
        ] {
            self.0.update(part);
        }
    }

    fn finalize(&self) -> String {
        format!("{:08x}", self.0.clone().finalize())
    }
}

/// The rows of a Parquet recording. A row group that cannot be read costs its rows, not the others.
pub(super) struct Rows {
    file: File,
    ranges: RangeCheck,
    metadata: ArrowReaderMetadata,
    next_group: usize,
    batches: Option<ParquetRecordBatchReader>,
    ready: VecDeque<Entry>,
    number: u64,
    /// Rows up to the end of this row group.
    group_end: u64,
    sum: Checksum,
    written_sum: Option<String>,
}

impl Rows {
    pub(super) fn open(file: File) -> Result<Self, String> {
        // The Arrow schema in the footer says nothing that Parquet's own does not, and a damaged
        // one would have bytes taken for text without a look.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = caught(|| ArrowReaderMetadata::load(&file, options))?;
        for name in [TS, TOPIC, PAYLOAD] {
            if metadata.schema().field_with_name(name).is_err() {
                return Err(format!("the column `{name}` is missing"));
            }
        }
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let written = pairs.into_iter().flatten().find(|pair| pair.key == CHECKSUM);
        let written_sum = written.and_then(|pair| pair.value.clone());
        let ranges = RangeCheck::of(metadata.metadata());
        Ok(Self {
            file,
            ranges,
            metadata,
            next_group: 0,
            batches: None,
            ready: VecDeque::new(),
            number: 0,
            group_end: 0,
            sum: Checksum::default(),
            written_sum,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, String> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            let Some(batches) = &mut self.batches else {
                if self.next_group < self.metadata.metadata().num_row_groups() {
                    if let Err(reason) = self.open_group() {
                        return Ok(Some(self.skip_group(&reason)));
                    }
                    continue;
                }
                return Ok(self.compare_sums());
            };
            match caught(|| batches.next().transpose()) {
                Ok(Some(batch)) => self.take(&batch)?,
                Ok(None) => self.batches = None,
                Err(reason) => return Ok(Some(self.skip_group(&reason))),
            }
        }
    }

    fn open_group(&mut self) -> Result<(), String> {
        let group = self.next_group;
        self.next_group += 1;
        let rows = self.metadata.metadata().row_group(group).num_rows();
        self.group_end = self.group_end.saturating_add(u64::try_from(rows).unwrap_or(0));
        self.ranges.check(group, &self.file)?;
        let file = self.file.try_clone().map_err(|error| error.to_string())?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let wanted = ProjectionMask::columns(builder.parquet_schema(), [TS, PUB, TOPIC, PAYLOAD]);
        let builder = builder
            .with_projection(wanted)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH_ROWS);
        let batches = caught(|| builder.build())?;
        self.batches = Some(batches);
        Ok(())
    }

    /// Goes on behind a row group; says what is lost of it.
    fn skip_group(&mut self, reason: &str) -> Entry {
        self.batches = None;
        self.written_sum = None;
        let first = self.number + 1;
        self.number = self.group_end.max(first);
        let reason = format!("rows {first} to {} cannot be read: {reason}", self.number);
        Entry::Corrupt { number: first, reason, bytes: Vec::new() }
    }

    /// At the end: what was read has to be what was written.
    fn compare_sums(&mut self) -> Option<Entry> {
        let written = self.written_sum.take()?;
        (written != self.sum.finalize()).then(|| Entry::Corrupt {
            number: self.number + 1,
            reason: "the rows do not give the checksum in the footer: one of them is damaged"
                .to_owned(),
            bytes: Vec::new(),
        })
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), String> {
        // Other tools store times in other units and strings as dictionaries or views.
        let column = |name: &str, kind: &DataType| match batch.column_by_name(name) {
            Some(array) => {
                cast(array, kind).map(Some).map_err(|error| format!("column `{name}`: {error}"))
            }
            None => Ok(None),
        };
        let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
        let needed = |name: &str, kind: &DataType| {
            column(name, kind)?.ok_or_else(|| format!("the column `{name}` is missing"))
        };
        let ts = needed(TS, &millis)?;
        let published = column(PUB, &millis)?;
        let topic = needed(TOPIC, &DataType::Utf8)?;
        let payload = needed(PAYLOAD, &DataType::Binary)?;
        let time = |array: &Arc<dyn Array>, row: usize| {
            let times = array.as_primitive_opt::<TimestampMillisecondType>()?;
            times.is_valid(row).then(|| times.value(row))
        };
        for row in 0..batch.num_rows() {
            self.number += 1;
            let bytes = payload
                .as_binary_opt::<i32>()
                .filter(|bytes| bytes.is_valid(row))
                .map(|bytes| bytes.value(row).to_vec());
            let text = topic
                .as_string_opt::<i32>()
                .filter(|texts| texts.is_valid(row))
                .map(|texts| texts.value(row).to_owned());
            let stamp = time(&ts, row).and_then(Timestamp::from_millis);
            let moment = published.as_ref().and_then(|array| time(array, row));
            let parsed_moment = moment.map(Timestamp::from_millis);
            let corrupt = |reason: &str, bytes: Vec<u8>| Entry::Corrupt {
                number: self.number,
                reason: reason.to_owned(),
                bytes,
            };
            let entry = match (stamp, parsed_moment, text, bytes) {
                (_, _, _, Some(bytes)) if bytes.len() > MAX_LINE_BYTES => {
                    corrupt("the payload is longer than 4 MiB", bytes)
                }
                (None, _, _, bytes) => {
                    corrupt("`ts` is null or no year of four digits", bytes.unwrap_or_default())
                }
                (_, Some(None), _, bytes) => {
                    corrupt("`pub` is no year of four digits", bytes.unwrap_or_default())
                }
                (_, _, None, bytes) => corrupt("`topic` is null", bytes.unwrap_or_default()),
                (_, _, _, None) => corrupt("`payload` is null", Vec::new()),
                (Some(ts), published, Some(topic), Some(payload)) => {
                    let published = published.flatten();
                    let record = Record { ts, published, topic, payload };
                    self.sum.add(&record);
                    Entry::Record(record)
                }
            };
            self.ready.push_back(entry);
        }
        Ok(())
    }
}

/// Writes records as Parquet.
pub(in crate::io) struct RowWriter<W: Write + Send> {
    out: ArrowWriter<Summed<W>>,
    sums: RangeSums,
    schema: SchemaRef,
    ts: TimestampMillisecondBuilder,
    published: TimestampMillisecondBuilder,
    topic: StringBuilder,
    payload: BinaryBuilder,
    rows: usize,
    sum: Checksum,
}

impl<W: Write + Send> RowWriter<W> {
    pub(in crate::io) fn new(out: W) -> Result<Self, String> {
        let schema = Arc::new(Schema::new(vec![
            Field::new(TS, columnar::utc_millis(), false),
            Field::new(PUB, columnar::utc_millis(), true),
            Field::new(TOPIC, DataType::Utf8, false),
            Field::new(PAYLOAD, DataType::Binary, false),
        ]));
        let times = || TimestampMillisecondBuilder::new().with_data_type(columnar::utc_millis());
        Ok(Self {
            sums: RangeSums::default(),
            out: ArrowWriter::try_new(
                Summed::new(out),
                Arc::clone(&schema),
                Some(columnar::properties_with_payloads(PAYLOAD)),
            )
            .map_err(|error| error.to_string())?,
            schema,
            ts: times(),
            published: times(),
            topic: StringBuilder::new(),
            payload: BinaryBuilder::new(),
            rows: 0,
            sum: Checksum::default(),
        })
    }

    pub(in crate::io) fn push(&mut self, record: &Record) -> Result<(), String> {
        self.ts.append_value(record.ts.millis());
        self.published.append_option(record.published.map(Timestamp::millis));
        self.topic.append_value(&record.topic);
        self.payload.append_value(&record.payload);
        self.sum.add(record);
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> Result<(), String> {
        self.rows = 0;
        let batch = RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![
                Arc::new(self.ts.finish()),
                Arc::new(self.published.finish()),
                Arc::new(self.topic.finish()),
                Arc::new(self.payload.finish()),
            ],
        )
        .map_err(|error| error.to_string())?;
        self.out.write(&batch).map_err(|error| error.to_string())?;
        self.sums.add(&mut self.out)
    }

    /// Completes the file; what it was written to is not synced yet.
    pub(in crate::io) fn finish(mut self) -> Result<W, String> {
        self.write_batch()?;
        self.out.flush().map_err(|error| error.to_string())?;
        self.sums.add(&mut self.out)?;
        self.out.append_key_value_metadata(self.sums.to_pair());
        self.out.append_key_value_metadata(KeyValue::new(CHECKSUM.to_owned(), self.sum.finalize()));
        self.out.into_inner().map(Summed::into_inner).map_err(|error| error.to_string())
    }
}
