//! `decode_batch` against the way by a tree: random mappings, payloads good, odd and broken.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::super::tests::payloads::{PATHS, broken, payload};
use super::super::tests::{column, message, network, source};
use super::super::{DecodedBatch, Fate};
use super::*;
use crate::batch::{batch_of, schema_of};
use crate::plan::{Column, ColumnKind, Mapping, Source};

fn any_column() -> impl Strategy<Value = Column> {
    use ColumnKind::{Boolean, Integer, Number, Text, TextList, Time};
    let path = prop::sample::select(PATHS.to_vec());
    let kind = prop::sample::select(vec![Text, Text, Integer, Number, Boolean, Time, TextList]);
    let numbers = (
        prop::sample::select(vec![1.0, 0.1, 10.0, 1e300]),
        prop::sample::select(vec![0.0, 1.0]),
        prop::option::weighted(0.2, -100.0..1.0),
        prop::option::weighted(0.2, 1.0..1e5),
    );
    let missing = prop::sample::subsequence(
        vec![json!(-99), json!(65535.0), json!("loop"), json!(false), json!(null)],
        0..3,
    );
    let texts = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (path, kind, prop::bool::weighted(0.8), missing, numbers, texts).prop_map(
        |(path, kind, nullable, missing, (scale, offset, min, max), (is_segment, limited))| {
            let allowed = ["loop", "a104", "q\"\\/\n"].map(str::to_owned);
            Column {
                nullable,
                missing,
                scale,
                offset,
                min,
                max,
                is_segment,
                one_of: if limited { allowed.into() } else { Vec::new() },
                ..column(path, kind)
            }
        },
    )
}

/// Sources whose filters overlap, so that what one of them reads is read of all messages.
fn any_sources() -> impl Strategy<Value = Vec<Source>> {
    let mapping = (prop::collection::vec(any_column(), 0..4), 0..6, prop::bool::weighted(0.7))
        .prop_map(|(mut columns, what, versioned)| {
            if what > 0 {
                columns.push(Column { name: "ts".to_owned(), ..column("tts", ColumnKind::Time) });
            } else {
                // Closures by whatever columns; most lack some.
                for (index, (name, kind)) in [
                    ("state", ColumnKind::Text),
                    ("kind", ColumnKind::Text),
                    ("edges", ColumnKind::TextList),
                    ("event_id", ColumnKind::Text),
                    ("ts", ColumnKind::Time),
                ]
                .into_iter()
                .enumerate()
                {
                    columns.push(Column {
                        name: name.to_owned(),
                        ..column(["aaa", "bbb", "lll", "xxx", "tts"][index], kind)
                    });
                }
            }
            let produces = if what > 0 { Produces::Readings } else { Produces::Closures };
            let version = versioned.then_some(1);
            Mapping { name: "m".to_owned(), produces, version, columns }
        });
    let topic = prop::sample::select(vec!["w/+", "w/a", "w/#"]);
    let claims = prop::sample::select(vec![
        vec![],
        vec![],
        vec![("kkk", json!("loop"))],
        vec![("kkk", json!("loop"))],
        vec![("kkk", json!("camera"))],
        vec![("aaa", json!(7)), ("kkk", json!("loop"))],
        vec![("bbb", json!(null))],
    ]);
    prop::collection::vec((mapping, topic, claims), 1..4).prop_map(|sources| {
        let sources = sources.into_iter().enumerate();
        sources
            .map(|(index, (mapping, topic, claims))| Source {
                claims: claims.into_iter().map(|(m, v)| (m.to_owned(), v)).collect(),
                ..source(&format!("s{index}"), topic, mapping, &[])
            })
            .collect()
    })
}

/// Every member that some source reads, by its path from the top, `.` before each name.
fn read_paths(sources: &[Source]) -> HashSet<String> {
    let mut read = HashSet::from([String::new()]);
    for source in sources {
        let claims = source.claims.iter().map(|(member, _)| vec![member.clone()]);
        let version = source.mapping.version.map(|_| vec!["v".to_owned()]);
        let columns = source.mapping.columns.iter().map(|column| column.path.clone());
        for path in claims.chain(version).chain(columns) {
            for depth in 1..=path.len() {
                read.insert(format!(".{}", path[..depth].join(".")));
            }
        }
    }
    read
}

/// Whether both decoders say the same; a repeated member may be named differently where there are
/// several.
fn same(refusal: &Refusal, expected: &Refusal) -> bool {
    let twice = |refusal: &Refusal| refusal.detail.ends_with("` stands twice");
    (refusal.reason, &refusal.source) == (expected.reason, &expected.source)
        && (refusal.detail == expected.detail || twice(refusal) && twice(expected))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn both_ways_agree(
        sources in any_sources(),
        payloads in prop::collection::vec(
            (payload(), prop::option::weighted(0.15, (0_u8..4, any::<usize>(), any::<u8>()))),
            1..12,
        ),
        topic in prop::sample::select(vec!["w/a", "w/a", "w/a", "w/b", "w/a/b", "x"]),
    ) {
        let read = read_paths(&sources);
        let mut messages = Vec::new();
        let mut expected = Vec::new();
        let mut decoder = Decoder::new(&sources, network());
        for (payload, breakage) in payloads {
            // The tests write `v` as `vvv`, which is as long as the other names.
            let text = payload.text().replace("\"vvv\"", "\"v\"");
            let mut apart = payload;
            apart.tell_apart_unread(Some(""), &read, &mut 0);
            let told_apart = apart.text().replace("\"vvv\"", "\"v\"");
            let (mut text, mut told_apart) = (text.into_bytes(), told_apart.into_bytes());
            let breakage = breakage.filter(|_| text == told_apart);
            if let Some(breakage) = breakage {
                text = broken(text, breakage);
                told_apart.clone_from(&text);
            }
            let tree = decoder.decode(&message(topic, told_apart));
            messages.push(message(topic, text));
            expected.push((tree, breakage.is_some()));
        }
        let mut out = DecodedBatch::default();
        decoder.decode_batch(&messages, &mut out);
        prop_assert_eq!(out.fates.len(), messages.len());
        let mut rows = vec![0; sources.len()];
        for (index, (fate, (expected, was_broken))) in out.fates.iter().zip(&expected).enumerate() {
            let payload = String::from_utf8_lossy(&messages[index].payload);
            match (fate, expected) {
                // Whether anybody reads a name that the breakage made stand twice is not known here.
                (_, Decoded::Dead(refusal))
                    if *was_broken && refusal.detail.ends_with("` stands twice") =>
                {
                    if let Fate::Row { source, .. } = fate {
                        rows[*source] += 1;
                    }
                }
                (Fate::Row { source, row }, Decoded::Reading(reading)) => {
                    prop_assert_eq!((*source, *row), (reading.source, rows[*source]));
                    rows[*source] += 1;
                    let mapping = &sources[*source].mapping;
                    let one = batch_of(mapping, &schema_of(mapping), &[&reading.row]).unwrap();
                    let found = out.rows[*source].as_ref().unwrap();
                    let row = *row as usize;
                    prop_assert_eq!(found.batch.slice(row, 1), one, "{}", payload);
                    prop_assert_eq!(found.event_times[row], reading.event_time.millis());
                    prop_assert_eq!(found.messages[row] as usize, index);
                }
                (Fate::Closure { source, closure }, Decoded::Closure { source: s, closure: c }) => {
                    prop_assert_eq!((source, &**closure), (s, c), "{}", payload);
                }
                (Fate::Dead(refusal), Decoded::Dead(expected)) => {
                    prop_assert!(same(refusal, expected), "{refusal:?} {expected:?} {payload}");
                }
                _ => prop_assert!(false, "{fate:?} where {expected:?} is right: {payload}"),
            }
        }
        for (source, count) in rows.into_iter().enumerate() {
            let found = out.rows[source].as_ref().map_or(0, |rows| rows.batch.num_rows());
            prop_assert_eq!(found, count as usize);
        }
    }
}
