//! Network folders, good and bad.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::super::{DetectorKind, Turn};
use super::*;

const FILES: [(&str, &str); 6] = [
    (
        "network.geojson",
        r#"{"type":"FeatureCollection","city":"toy","features":[
{"type":"Feature","id":"b","geometry":{"type":"LineString","coordinates":[[11.01,44.0],[11.02,44.0]]},
 "properties":{"id":"b","from":"J","to":"K","name":"Via d&apos;Oro","length_m":800.5,"speed_limit_kmh":50,"lanes":2,"cars_allowed":true,"to_signal":false}},
{"type":"Feature","id":"a#1","geometry":{"type":"LineString","coordinates":[[11.0,44.0,12.5],[11.01,44.0]]},
 "properties":{"id":"a#1","from":"I","to":"J","name":null,"length_m":800,"speed_limit_kmh":30.5,"lanes":1,"cars_allowed":true,"to_signal":true}},
{"type":"Feature","id":"c","geometry":{"type":"LineString","coordinates":[[11.01,44.0],[11.01,44.1]]},
 "properties":{"id":"c","from":"J","to":"L","name":"Bad Name","length_m":11000,"speed_limit_kmh":70,"lanes":1,"cars_allowed":false,"to_signal":false}}]}"#,
    ),
    (
        "connections.csv",
        "from_edge,to_edge,turn,lanes,signal_id,cars_allowed\na#1,c,l,1,,0\na#1,b,s,1,s7,1\n",
    ),
    (
        "sensors.csv",
        "sensor_id,kind,edge_id,lane,pos_m,lon,lat,origin\nloop_1,loop,b,1,790.0,0,0,x\ncam_1,camera,a#1,,400.0,0,0,x\n",
    ),
    ("signs.csv", "sign_id,edge_id,pos_m,lon,lat,text_rows,text_cols\nvms_1,a#1,10.0,0,0,3,18\n"),
    ("names.csv", "edge_id,street\nc,Viale dell’Università\n"),
    ("places.csv", "place,edge_id,arrivals_per_run\nStazione,b,12\nCentro,c,7.5\n"),
];

/// The toy network with `from` replaced by `to` in one file.
fn folder(file: &str, from: &str, to: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let text = if name == file {
            assert!(text.contains(from), "{name} has no {from}");
            text.replace(from, to)
        } else {
            text.to_owned()
        };
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn toy() -> TempDir {
    folder("", "", "")
}

/// The report on a damaged folder, without the folder's own path.
fn report(dir: &TempDir) -> String {
    let error = Network::load(dir.path()).unwrap_err();
    error.to_string().replace(&format!("{}/", dir.path().display()), "")
}

fn pack(dir: &Path, name: &str) {
    let text = fs::read(dir.join(name)).unwrap();
    let file = fs::File::create(dir.join(format!("{name}.gz"))).unwrap();
    let mut gz = GzEncoder::new(file, flate2::Compression::fast());
    gz.write_all(&text).unwrap();
    gz.finish().unwrap();
    fs::remove_file(dir.join(name)).unwrap();
}

#[test]
fn a_sign_has_the_font_that_fonts_csv_names() {
    let dir = folder("signs.csv", "3,18", "3,18");
    fs::write(dir.path().join("fonts.csv"), "sign_id,font,width_px,height_px\nvms_1,f7,96,27\n")
        .unwrap();
    let missing = Network::load(dir.path()).unwrap_err().to_string();
    assert!(missing.contains("f7.tfon: is missing"), "{missing}");
    fs::write(dir.path().join("f7.tfon"), "font_name: f7\n").unwrap();
    let network = Network::load(dir.path()).unwrap();
    let face = network.signs[0].face.as_ref().unwrap();
    assert_eq!((&*face.font, face.width_px, face.height_px), ("font_name: f7\n", 96, 27));
    for (line, what) in [
        ("nobody,f7,96,27", "is not in signs.csv"),
        ("vms_1,../f7,96,27", "a file's name without `.tfon`"),
        ("vms_1,f7,0,27", "`width_px` must be a whole number of pixels over 0"),
    ] {
        let table = format!("sign_id,font,width_px,height_px\n{line}\n");
        fs::write(dir.path().join("fonts.csv"), table).unwrap();
        let error = Network::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn loads_a_whole_folder() {
    let dir = toy();
    let network = Network::load(dir.path()).unwrap();
    assert_eq!(network.city, "toy");
    let names: Vec<&str> = network.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a#1", "b", "c"]);
    let streets: Vec<Option<&str>> = network.segments.iter().map(|s| s.street.as_deref()).collect();
    assert_eq!(streets, [None, Some("Via d'Oro"), Some("Viale dell’Università")]);
    let [a, b, c] = [SegmentId(0), SegmentId(1), SegmentId(2)];
    assert_eq!(network.segment_by_name("b"), Some(b));
    assert_eq!(network.segment(a).line.0.len(), 2);
    assert_eq!(network.outgoing(a).iter().map(|m| m.to).collect::<Vec<_>>(), [b, c]);
    assert_eq!(network.incoming(b).iter().map(|m| m.from).collect::<Vec<_>>(), [a]);
    assert_eq!(network.connection(a, b).map(|m| m.turn), Some(Turn::Straight));
    assert_eq!(network.connection(a, c), None, "buses only");
    let kinds: Vec<_> = network.detectors.iter().map(|d| (d.kind, d.lane)).collect();
    assert_eq!(kinds, [(DetectorKind::Camera, None), (DetectorKind::Loop, Some(1))]);
    let sign = network.sign(network.sign_by_name("vms_1").unwrap());
    assert_eq!((sign.segment, sign.rows, sign.cols, sign.pages), (a, 3, 18, 1));
    assert_eq!(network.places.iter().map(|p| p.weight).collect::<Vec<_>>(), [7.5, 12.0]);
    assert_eq!(
        network.spoken_names(),
        ["Centro", "Stazione", "Via d'Oro", "Viale dell’Università"]
    );
}

#[test]
fn a_sign_may_have_two_pages() {
    let one = "text_cols\nvms_1,a#1,10.0,0,0,3,18";
    let dir = folder("signs.csv", one, "text_cols,pages\nvms_1,a#1,10.0,0,0,3,18,2");
    let network = Network::load(dir.path()).unwrap();
    assert_eq!(network.signs[0].pages, 2);
}

#[test]
fn packing_changes_nothing_and_a_byte_changes_the_hash() {
    let (plain, packed) = (toy(), toy());
    pack(packed.path(), "network.geojson");
    pack(packed.path(), "signs.csv");
    let hash = |dir: &TempDir| Network::load(dir.path()).unwrap().hash;
    assert_eq!(hash(&plain), hash(&packed));
    assert_eq!(hash(&plain).len(), 64);
    assert_ne!(hash(&plain), hash(&folder("signs.csv", "3,18", "3,17")));
    let bare = toy();
    fs::remove_file(bare.path().join("names.csv")).unwrap();
    assert_ne!(hash(&plain), hash(&bare));
}

#[test]
fn a_byte_order_mark_and_windows_lines_do_no_harm() {
    let dir = toy();
    for (name, text) in FILES {
        let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        fs::write(dir.path().join(name), text).unwrap();
    }
    assert_eq!(Network::load(dir.path()).unwrap().signs.len(), 1);
}

#[test]
fn says_what_is_wrong_with_the_roads() {
    for (from, to, expected) in [
        ("\"city\"", "\"town\"", "network.geojson: needs \"city\": a name of letters"),
        ("toy", "to/y", "network.geojson: needs \"city\""),
        ("FeatureCollection", "Feature", "has no \"type\": \"FeatureCollection\""),
        ("\"features\"", "\"feats\"", "has no list `features`"),
        ("[\n{", "\n{", "network.geojson:2: is not GeoJSON: invalid type: map"),
        ("}}]}", "}}]", "network.geojson:7: is not GeoJSON: EOF"),
        ("800.5", "NaN", "network.geojson:3: is not GeoJSON: expected value"),
        ("800.5", "1e999", "network.geojson:3: is not GeoJSON: number out of range"),
        ("800.5", "0", "feature 0, edge `b`: `length_m` must be a number of metres over 0"),
        (
            "800.5",
            "-3",
            "`length_m` must be a number of metres over 0 and at most 200000, not `-3`",
        ),
        ("30.5", "\"30\"", "feature 1, edge `a#1`: `speed_limit_kmh` must be a number of km/h"),
        ("30.5", "305", "`speed_limit_kmh` must be a number of km/h over 0 and at most 200"),
        ("\"lanes\":2", "\"lanes\":0", "edge `b`: `lanes` must be a whole number from 1"),
        ("\"lanes\":2,", "", "edge `b`: lacks the property `lanes`, a whole number"),
        ("\"from\":\"I\",", "", "edge `a#1`: lacks the property `from`, a text"),
        ("\"to_signal\":true", "\"to_signal\":1", "`to_signal` must be true or false, not `1`"),
        ("\"name\":null", "\"name\":[]", "`name` must be a text or null, not `[]`"),
        ("\"properties\"", "\"props\"", "feature 2, edge `c`: has no `properties`"),
        ("\"id\":\"b\"", "\"id\":7", "feature 0: has no id that is a text"),
        ("{\"id\":\"b\"", "{\"id\":\"B\"", "has another id in its properties: `B`"),
        ("\"id\":\"b\"", "\"id\":\"a#1\"", "feature 1, edge `a#1`: the id was taken by feature 0"),
        (",[11.02,44.0]", "", "edge `b`: its line has 1 point, not two or more"),
        ("\"LineString\"", "\"Point\"", "edge `c`: its geometry is not a LineString"),
        ("[11.01,44.1]", "[11.01,91]", "point 1 must be [longitude, latitude] in degrees"),
        ("[11.01,44.1]", "[11.01]", "edge `c`: point 1 must be [longitude, latitude]"),
        ("Via d&apos;Oro", "Οδός", "edge `b`: its name `Οδός` cannot be used: no sign can show"),
    ] {
        let said = report(&folder("network.geojson", from, to));
        assert!(said.contains(expected), "{from} -> {to}\n{said}");
    }
}

#[test]
fn says_what_is_wrong_with_the_tables() {
    for (file, from, to, expected) in [
        (
            "connections.csv",
            "a#1,b",
            "a#1,d",
            ":3: `to_edge` leads nowhere: the network has no edge `d`",
        ),
        ("connections.csv", "a#1,b", "a#2,b", "no edge `a#2`; the nearest is `a#1`"),
        ("connections.csv", "b,s", "b,x", ":3: `turn` must be one of s l r L R t, not `x`"),
        ("connections.csv", "a#1,c", "b,c", ":2: `b` ends at junction `K`, `c` starts at `J`"),
        ("connections.csv", "c,l,1,,0", "b,s,1,,1", ":3: this move stands in line 2 already"),
        ("connections.csv", "l,1", "l,0", ":2: `lanes` must be a whole number over 0, not `0`"),
        ("connections.csv", ",,0", ",,no", ":2: `cars_allowed` must be 0 or 1, not `no`"),
        ("connections.csv", "turn", "bend", ":1: lacks the column `turn`; it has `from_edge`"),
        ("connections.csv", "signal_id", "turn", ":1: has the column `turn` twice"),
        ("connections.csv", ",s7,1", ",s7", ":3: has 5 fields, not 6 as the headings"),
        ("sensors.csv", ",b,1", ",z,1", "sensors.csv:2: `edge_id` leads nowhere"),
        ("sensors.csv", "b,1", "b,2", "`lane` must be a lane of the edge, 0 to 1, not `2`"),
        ("sensors.csv", "b,1", "b,", "sensors.csv:2: `lane` is empty"),
        (
            "sensors.csv",
            "790.0",
            "801",
            "`pos_m` must be metres from the start of the edge, 0 to 800.5",
        ),
        (
            "sensors.csv",
            "camera",
            "radar",
            "sensors.csv:3: `kind` must be loop or camera, not `radar`",
        ),
        ("sensors.csv", "cam_1", "loop_1", ":3: `sensor_id` `loop_1` stands in line 2 already"),
        ("signs.csv", "3,18", "3,", "signs.csv:2: `text_cols` is empty"),
        (
            "signs.csv",
            "text_cols\nvms_1,a#1,10.0,0,0,3,18",
            "text_cols,pages\nvms_1,a#1,10.0,0,0,3,18,3",
            "signs.csv:2: `pages` must be 1 or 2, not `3`",
        ),
        ("signs.csv", "text_cols", "text_cols,pages,pages", "has the column `pages` twice"),
        ("signs.csv", "3,18", "0,18", "`text_rows` must be a whole number from 1 to 255, not `0`"),
        ("signs.csv", ",text_rows", ",rows", "signs.csv:1: lacks the column `text_rows`"),
        ("signs.csv", "10.0", "-1", "signs.csv:2: `pos_m` must be metres from the start"),
        ("signs.csv", "10.0", "NaN", "signs.csv:2: `pos_m` must be metres from the start"),
        ("signs.csv", "vms_1", "vms/1", "`sign_id` `vms/1` may hold only letters, digits"),
        (
            "signs.csv",
            "3,18\n",
            "3,18\nvms_1,b,1,0,0,3,18\n",
            ":3: `sign_id` `vms_1` stands in line 2",
        ),
        ("signs.csv", "a#1", "a#", "signs.csv:2: `edge_id` leads nowhere"),
        ("names.csv", "c,V", "e,V", "names.csv:2: `edge_id` leads nowhere"),
        ("names.csv", "c,Viale dell’Università", "c,", "names.csv:2: `street` is empty"),
        ("names.csv", "Viale", "Мир", "names.csv:2: `street` `Мир dell’Università` cannot be used"),
        (
            "names.csv",
            "Viale dell’Università",
            "...",
            "names.csv:2: `street` `...` cannot be used: it has no letter",
        ),
        ("places.csv", "e,b", "e,e", "places.csv:2: `edge_id` leads nowhere"),
        ("places.csv", "b,12", "b,-1", "`arrivals_per_run` must be a number, 0 or more, not `-1`"),
        ("places.csv", "Centro,c", "Stazione,b", ":3: this place on this edge stands in line 2"),
    ] {
        let dir = folder(file, from, to);
        let said = report(&dir);
        assert!(said.contains(expected) && said.starts_with(file), "{from} -> {to}\n{said}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let dir = toy();
    for name in ["network.geojson", "connections.csv", "sensors.csv", "signs.csv"] {
        let text = fs::read(dir.path().join(name)).unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
        assert_eq!(report(&dir), format!("{name}: is missing"));
        fs::create_dir(dir.path().join(name)).unwrap();
        assert_eq!(report(&dir), format!("{name}: is not a file"));
        fs::remove_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(format!("{name}.gz")), "no gzip").unwrap();
        assert!(report(&dir).starts_with(&format!("{name}.gz: is not a whole gzip file")));
        fs::write(dir.path().join(name), b"a,b\nc\xff").unwrap();
        assert!(report(&dir).contains("stands beside"), "{}", report(&dir));
        fs::remove_file(dir.path().join(format!("{name}.gz"))).unwrap();
        assert!(report(&dir).starts_with(&format!("{name}:2: is not UTF-8 from byte 5 on")));
        fs::write(dir.path().join(name), text).unwrap();
    }
    let error = Network::load(&dir.path().join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("nowhere: is not a folder"), "{error}");
}

#[test]
fn a_cut_gzip_file_is_refused() {
    let dir = toy();
    pack(dir.path(), "network.geojson");
    let path = dir.path().join("network.geojson.gz");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(report(&dir).contains("is not a whole gzip file"), "{}", report(&dir));
}

#[test]
fn a_file_that_unpacks_to_more_than_the_budget_is_refused() {
    let dir = toy();
    fs::remove_file(dir.path().join("network.geojson")).unwrap();
    let file = fs::File::create(dir.path().join("network.geojson.gz")).unwrap();
    let mut gz = GzEncoder::new(file, flate2::Compression::fast());
    let blank = vec![b' '; 1 << 20];
    for _ in 0..65 {
        gz.write_all(&blank).unwrap();
    }
    gz.finish().unwrap();
    assert_eq!(report(&dir), "network.geojson.gz: unpacked, holds more than the 64 MB allowed");
}

#[test]
fn json_nested_too_deep_is_refused() {
    let deep = format!("\"name\":{}{}", "[".repeat(5000), "]".repeat(5000));
    let said = report(&folder("network.geojson", "\"name\":null", &deep));
    assert!(said.contains("network.geojson:5: is not GeoJSON: recursion limit"), "{said}");
}

#[test]
fn all_findings_of_all_tables_come_at_once() {
    let dir = toy();
    fs::write(dir.path().join("signs.csv"), FILES[3].1.replace("a#1,10.0", "q,x")).unwrap();
    fs::write(dir.path().join("places.csv"), FILES[5].1.replace("b,12", "q,x")).unwrap();
    assert_eq!(report(&dir).lines().count(), 3, "{}", report(&dir));
}

#[test]
fn fifty_findings_are_listed_and_the_rest_is_counted() {
    let dir = toy();
    let mut signs = FILES[3].1.to_owned();
    for n in 0..70 {
        writeln!(signs, "s{n},nowhere,1,0,0,3,18").unwrap();
    }
    fs::write(dir.path().join("signs.csv"), signs).unwrap();
    let error = Network::load(dir.path()).unwrap_err();
    assert_eq!((error.findings.len(), error.unlisted), (50, 20));
    assert!(error.to_string().ends_with("and 20 more"));
    assert_eq!(error.findings[0].line, Some(3));
}

#[test]
fn foreign_text_is_cut_and_escaped_in_messages() {
    assert_eq!(quoted("a\u{1b}[2Jb"), "`a\\u{1b}[2Jb`");
    assert_eq!(quoted(&"é".repeat(80)), format!("`{}...`", "é".repeat(60)));
}
