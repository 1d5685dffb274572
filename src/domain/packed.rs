//! A part of a state that is kept: written down at once, without the names of its fields.
//!
//! A state of thousands of segments is mostly names where it has them, and where its parts are
//! written one after the other, only one of them is in memory twice. Only the program's own form of
//! a state reads it: nothing in it may be left out or come by default.

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

/// Bytes on the way out, the value on the way in.
#[derive(Clone, Debug)]
pub enum Packed<T> {
    Bytes(ByteBuf),
    Value(T),
}

impl<T: Serialize> Packed<T> {
    /// # Errors
    /// If the value cannot be written down.
    pub fn of(value: &T) -> Result<Self, rmp_serde::encode::Error> {
        Ok(Self::Bytes(ByteBuf::from(rmp_serde::to_vec(value)?)))
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// `None` where its bytes are of another form.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Bytes(bytes) => rmp_serde::from_slice(&bytes).ok(),
            Self::Value(value) => Some(value),
        }
    }

    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Value(_) => 0,
        }
    }
}

impl<T: Serialize> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => bytes.serialize(serializer),
            Self::Value(value) => {
                let bytes = rmp_serde::to_vec(value).map_err(S::Error::custom)?;
                serializer.serialize_bytes(&bytes)
            }
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        rmp_serde::from_slice(&bytes).map(Self::Value).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_and_another_form_does_not() {
        let packed = Packed::of(&vec![(1_u32, Some(2.5_f64)), (7, None)]).unwrap();
        let bytes = rmp_serde::to_vec_named(&packed).unwrap();
        let again: Packed<Vec<(u32, Option<f64>)>> = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(again.value(), packed.value());
        assert!(rmp_serde::from_slice::<Packed<Vec<String>>>(&bytes).is_err());
    }
}
