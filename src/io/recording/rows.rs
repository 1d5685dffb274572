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
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::super::columnar;
use super::reader::Entry;
use super::{MAX_LINE_BYTES, Record};
use crate::domain::time::Timestamp;

const TS: &str = "ts";
const PUB: &str = "pub";
const TOPIC: &str = "topic";
const PAYLOAD: &str = "payload";

/// Rows taken at once: a few hundred messages bound the memory, whatever the file's row groups are.
const BATCH_ROWS: usize = 256;

/// The rows of a Parquet recording.
pub(super) struct Rows {
    batches: ParquetRecordBatchReader,
    ready: VecDeque<Entry>,
    number: u64,
}

impl Rows {
    pub(super) fn open(file: File) -> Result<Self, String> {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
        for name in [TS, TOPIC, PAYLOAD] {
            if builder.schema().field_with_name(name).is_err() {
                return Err(format!("the column `{name}` is missing"));
            }
        }
        let wanted = ProjectionMask::columns(builder.parquet_schema(), [TS, PUB, TOPIC, PAYLOAD]);
        let batches = builder
            .with_projection(wanted)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { batches, ready: VecDeque::new(), number: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, String> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            match self.batches.next() {
                Some(batch) => self.take(&batch.map_err(|error| error.to_string())?)?,
                None => return Ok(None),
            }
        }
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
                    Entry::Record(Record { ts, published, topic, payload })
                }
            };
            self.ready.push_back(entry);
        }
        Ok(())
    }
}

/// Writes records as Parquet.
pub(super) struct RowWriter<W: Write + Send> {
    out: ArrowWriter<W>,
    schema: SchemaRef,
    ts: TimestampMillisecondBuilder,
    published: TimestampMillisecondBuilder,
    topic: StringBuilder,
    payload: BinaryBuilder,
    rows: usize,
}

impl<W: Write + Send> RowWriter<W> {
    pub(super) fn new(out: W) -> Result<Self, String> {
        let schema = Arc::new(Schema::new(vec![
            Field::new(TS, columnar::utc_millis(), false),
            Field::new(PUB, columnar::utc_millis(), true),
            Field::new(TOPIC, DataType::Utf8, false),
            Field::new(PAYLOAD, DataType::Binary, false),
        ]));
        let times = || TimestampMillisecondBuilder::new().with_data_type(columnar::utc_millis());
        Ok(Self {
            out: ArrowWriter::try_new(out, Arc::clone(&schema), Some(columnar::properties()))
                .map_err(|error| error.to_string())?,
            schema,
            ts: times(),
            published: times(),
            topic: StringBuilder::new(),
            payload: BinaryBuilder::new(),
            rows: 0,
        })
    }

    pub(super) fn push(&mut self, record: &Record) -> Result<(), String> {
        self.ts.append_value(record.ts.millis());
        self.published.append_option(record.published.map(Timestamp::millis));
        self.topic.append_value(&record.topic);
        self.payload.append_value(&record.payload);
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
        self.out.write(&batch).map_err(|error| error.to_string())
    }

    pub(super) fn finish(mut self) -> Result<(), String> {
        self.write_batch()?;
        self.out.close().map(|_| ()).map_err(|error| error.to_string())
    }
}
