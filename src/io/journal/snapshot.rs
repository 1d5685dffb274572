//! A snapshot file.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `WAYSIDES` |
//! | 4 | version of the format: 1 |
//! | 4 | CRC-32 over everything that follows |
//! | 8 | position |
//! | 8 | length of the identity |
//! | … | identity, then the state to the end of the file |

use std::fs;
use std::io;
use std::path::Path;

use super::{Position, Snapshot};

const MAGIC: &[u8; 8] = b"WAYSIDES";
const VERSION: u32 = 1;

/// What stands before the identity.
pub(super) fn head(snapshot: &Snapshot) -> Vec<u8> {
    let position = snapshot.position.0.to_le_bytes();
    let identity = (snapshot.identity.len() as u64).to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    for part in [&position[..], &identity, snapshot.identity.as_bytes(), &snapshot.bytes] {
        hasher.update(part);
    }
    [
        &MAGIC[..],
        &VERSION.to_le_bytes(),
        &hasher.finalize().to_le_bytes(),
        &position,
        &identity,
        snapshot.identity.as_bytes(),
    ]
    .concat()
}

/// `None` when the file does not verify.
pub(in crate::io) fn read(path: &Path) -> io::Result<Option<Snapshot>> {
    Ok(parse(&fs::read(path)?))
}

fn parse(bytes: &[u8]) -> Option<Snapshot> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (crc, body) = rest.split_first_chunk::<4>()?;
    if magic != MAGIC
        || u32::from_le_bytes(*version) != VERSION
        || crc32fast::hash(body) != u32::from_le_bytes(*crc)
    {
        return None;
    }
    let (position, rest) = body.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (identity, state) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
    Some(Snapshot {
        position: Position(u64::from_le_bytes(*position)),
        identity: std::str::from_utf8(identity).ok()?.to_owned(),
        bytes: state.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_or_does_not_verify() {
        let snapshot =
            Snapshot { position: Position(7), identity: "abc".into(), bytes: b"state".to_vec() };
        let bytes = [head(&snapshot), snapshot.bytes.clone()].concat();
        assert_eq!(parse(&bytes), Some(snapshot));
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&broken), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), None, "cut at {end}");
        }
    }
}
