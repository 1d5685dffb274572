//! Columns as JSON: numbers, texts and truths as such, any other kind (a time, a list) as its text.
//!
//! What JSON has no number for (not-a-number, infinity) becomes null, and so does what has no text:
//! a time so far off that no calendar reaches it, which a query makes of a number in another unit.

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The columns of one batch, with their names.
pub struct JsonColumns<'b>(Vec<(&'b str, JsonColumn<'b>)>);

impl<'b> JsonColumns<'b> {
    /// The columns whose names are `wanted`.
    ///
    /// # Errors
    /// A column's kind has no text.
    pub fn of(batch: &'b RecordBatch, wanted: impl Fn(&str) -> bool) -> Result<Self, ArrowError> {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns());
        let named = columns.map(|(field, column)| (field.name().as_str(), column));
        let wanted = named.filter(|(name, _)| wanted(name));
        wanted
            .map(|(name, column)| Ok((name, JsonColumn::new(column)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An object of one row, a member a column.
    pub fn row(&self, row: usize) -> impl Serialize {
        Row(&self.0, row)
    }
}

impl std::fmt::Debug for JsonColumns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// An object of lists, a member a column.
impl Serialize for JsonColumns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, column)| (name, column)))
    }
}

struct Row<'c>(&'c [(&'c str, JsonColumn<'c>)], usize);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (name, column) in self.0 {
            object.serialize_entry(name, &Cell(column, self.1))?;
        }
        object.end()
    }
}

enum JsonColumn<'b> {
    Truths(BooleanArray),
    Signed(Int64Array),
    Unsigned(UInt64Array),
    Numbers(Float64Array),
    Texts(StringArray),
    Shown(&'b dyn Array, ArrayFormatter<'b>),
}

impl<'b> JsonColumn<'b> {
    fn new(array: &'b dyn Array) -> Result<Self, ArrowError> {
        /// Without options: nulls are told apart before a cell is shown.
        const OPTIONS: FormatOptions<'static> = FormatOptions::new();
        let to = |kind| cast(array, &kind);
        let kind = array.data_type();
        Ok(match kind {
            DataType::Boolean => Self::Truths(array.as_boolean().clone()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Texts(to(DataType::Utf8)?.as_string().clone())
            }
            _ if kind.is_unsigned_integer() => {
                Self::Unsigned(to(DataType::UInt64)?.as_primitive().clone())
            }
            _ if kind.is_signed_integer() => {
                Self::Signed(to(DataType::Int64)?.as_primitive().clone())
            }
            _ if kind.is_floating() => Self::Numbers(to(DataType::Float64)?.as_primitive().clone()),
            _ => Self::Shown(array, ArrayFormatter::try_new(array, &OPTIONS)?),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Truths(array) => array,
            Self::Signed(array) => array,
            Self::Unsigned(array) => array,
            Self::Numbers(array) => array,
            Self::Texts(array) => array,
            Self::Shown(array, _) => *array,
        }
    }
}

impl Serialize for JsonColumn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.array().len()).map(|row| Cell(self, row)))
    }
}

struct Cell<'c>(&'c JsonColumn<'c>, usize);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(column, row) = *self;
        if column.array().is_null(row) {
            return serializer.serialize_none();
        }
        match column {
            JsonColumn::Truths(array) => serializer.serialize_bool(array.value(row)),
            JsonColumn::Signed(array) => serializer.serialize_i64(array.value(row)),
            JsonColumn::Unsigned(array) => serializer.serialize_u64(array.value(row)),
            JsonColumn::Numbers(array) => serializer.serialize_f64(array.value(row)),
            JsonColumn::Texts(array) => serializer.serialize_str(array.value(row)),
            JsonColumn::Shown(_, texts) => {
                texts.value(row).try_to_string().ok().serialize(serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int8Array, TimestampMillisecondArray, TimestampSecondArray};

    use super::*;

    #[test]
    fn columns_and_rows() {
        let times = TimestampMillisecondArray::from(vec![Some(1_226_388_000_000), None]);
        let far = TimestampSecondArray::from(vec![1_226_388_000, 1_700_000_000_000_000]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from(vec!["a\"b", "c"]))),
            ("whole", Arc::new(Int8Array::from(vec![Some(-3), None]))),
            ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("number", Arc::new(Float64Array::from(vec![f64::NAN, 31.25]))),
            ("truth", Arc::new(BooleanArray::from(vec![true, false]))),
            ("time", Arc::new(times.with_timezone("UTC"))),
            ("far", Arc::new(far)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let columns = JsonColumns::of(&batch, |_| true).unwrap();
        assert_eq!(
            serde_json::to_string(&columns).unwrap(),
            r#"{"text":["a\"b","c"],"whole":[-3,null],"large":[18446744073709551615,0],"number":[null,31.25],"truth":[true,false],"time":["2008-11-11T07:20:00Z",null],"far":["2008-11-11T07:20:00",null]}"#
        );
        assert_eq!(
            serde_json::to_string(&columns.row(1)).unwrap(),
            r#"{"text":"c","whole":null,"large":0,"number":31.25,"truth":false,"time":null,"far":null}"#
        );
    }
}
