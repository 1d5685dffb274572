//! A sign's words as NTCIP 1203 MULTI, the markup that sign controllers take.
//!
//! Rows are joined by `[nl]`, pages by `[np]`; how long a page stays is the controller's own setting. What is written is read back and compared before it leaves. Knows
//! the sign's size and, where there is one, its font; judges no words.

use ntcip::dms::multi::split;

use super::font::SignFont;
use super::{FontError, width};
use crate::domain::network::Sign;
use crate::domain::wording::Wording;

/// Why words cannot go to a sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultiError {
    #[error("sign {sign} has {max} rows a page and the text has {rows}")]
    Rows { sign: String, rows: usize, max: u8 },
    #[error("sign {sign} shows one page and the text has two")]
    Pages { sign: String },
    #[error("row {row} has {chars} characters and sign {sign} shows {max}")]
    Width { sign: String, row: usize, chars: usize, max: u8 },
    /// Outside printable ASCII: no sign's character set is sure to have it.
    #[error("row {row} has {c:?}, which signs may not be able to show")]
    Character { row: usize, c: char },
    #[error("the text does not fit sign {sign} in its font: {source}")]
    Font { sign: String, source: FontError },
    #[error("{0} is not among the tags that are let through (nl, np, jl, jp, pt)")]
    Tag(String),
    #[error("the markup does not read back as the text it was made of")]
    ReadBack,
}

/// The markup of a text for one sign, checked against its rows and columns and, where the sign
/// has a font, its pixels.
pub fn multi(
    wording: &Wording,
    sign: &Sign,
    font: Option<&SignFont>,
) -> Result<String, MultiError> {
    let rows = &wording.text;
    let pages = wording.pages();
    if pages.len() > usize::from(sign.pages) {
        return Err(MultiError::Pages { sign: sign.name.clone() });
    }
    if let Some(page) = pages.iter().find(|p| p.is_empty() || p.len() > usize::from(sign.rows)) {
        let sign_name = sign.name.clone();
        return Err(MultiError::Rows { sign: sign_name, rows: page.len(), max: sign.rows });
    }
    let mut markup = String::new();
    for (index, row) in rows.iter().enumerate() {
        let chars = width(row);
        if chars == 0 || chars > usize::from(sign.cols) {
            let sign_name = sign.name.clone();
            return Err(MultiError::Width {
                sign: sign_name,
                row: index + 1,
                chars,
                max: sign.cols,
            });
        }
        if let Some(c) = row.chars().find(|c| !matches!(c, ' '..='~')) {
            return Err(MultiError::Character { row: index + 1, c });
        }
        if index > 0 {
            let turns = wording.second_page.is_some_and(|second| usize::from(second) == index);
            markup.push_str(if turns { "[np]" } else { "[nl]" });
        }
        markup.push_str(&row.replace('[', "[[").replace(']', "]]"));
    }
    if rows_of(&markup)? != pages {
        return Err(MultiError::ReadBack);
    }
    if let Some(font) = font {
        font.check(&markup)
            .map_err(|source| MultiError::Font { sign: sign.name.clone(), source })?;
    }
    Ok(markup)
}

/// The rows of each page of a markup, as a controller would read it. Any tag but `[nl]`, `[np]`,
/// `[jl…]`, `[jp…]` and `[pt…]` is an error.
pub fn rows_of(markup: &str) -> Result<Vec<Vec<String>>, MultiError> {
    let mut pages = vec![vec![String::new()]];
    for part in split(markup) {
        let text = match part {
            "[[" => "[",
            "]]" => "]",
            "[nl]" => {
                if let Some(page) = pages.last_mut() {
                    page.push(String::new());
                }
                continue;
            }
            "[np]" => {
                pages.push(vec![String::new()]);
                continue;
            }
            tag if tag.starts_with(['[', ']']) => {
                if is_layout(tag) {
                    continue;
                }
                return Err(MultiError::Tag(tag.to_owned()));
            }
            text => text,
        };
        if let Some(row) = pages.last_mut().and_then(|page| page.last_mut()) {
            row.push_str(text);
        }
    }
    Ok(pages)
}

/// Justification and page time, with digits and what NTCIP 1203 puts between them (`[pt30o5]`).
fn is_layout(tag: &str) -> bool {
    tag.strip_prefix('[').and_then(|t| t.strip_suffix(']')).is_some_and(|tag| {
        let justified = tag.strip_prefix("jl").or_else(|| tag.strip_prefix("jp"));
        let timed = tag.strip_prefix("pt").map(|t| t.replacen('o', "", 1));
        justified.is_some_and(|t| t.len() <= 1 && t.bytes().all(|b| (b'2'..=b'4').contains(&b)))
            || timed.is_some_and(|t| t.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::network::SegmentId;
    use crate::domain::wording::Language;

    fn sign(rows: u8, cols: u8) -> Sign {
        Sign {
            name: "vms_01".to_owned(),
            segment: SegmentId(0),
            pos_m: 10.0,
            rows,
            cols,
            pages: 1,
            face: None,
        }
    }

    fn wording(rows: &[&str]) -> Wording {
        let text = rows.iter().map(|row| (*row).to_owned()).collect();
        Wording { language: Language::En, text, second_page: None, writer: "test".to_owned() }
    }

    #[test]
    fn rows_are_joined_by_new_lines() {
        let words = wording(&["ROAD CLOSED", "AHEAD", "USE OTHER ROUTE"]);
        let markup = multi(&words, &sign(3, 18), None).unwrap();
        assert_eq!(markup, "ROAD CLOSED[nl]AHEAD[nl]USE OTHER ROUTE");
    }

    #[test]
    fn a_second_page_is_a_new_page() {
        let words = Wording { second_page: Some(2), ..wording(&["ROAD", "CLOSED", "USE RING"]) };
        let two = Sign { pages: 2, ..sign(2, 18) };
        assert_eq!(multi(&words, &two, None).unwrap(), "ROAD[nl]CLOSED[np]USE RING");
        let one = MultiError::Pages { sign: "vms_01".to_owned() };
        assert_eq!(multi(&words, &sign(3, 18), None), Err(one));
        let long = MultiError::Rows { sign: "vms_01".to_owned(), rows: 2, max: 1 };
        assert_eq!(multi(&words, &Sign { rows: 1, ..two.clone() }, None), Err(long));
        let nothing = Wording { second_page: Some(3), ..words };
        let empty = MultiError::Rows { sign: "vms_01".to_owned(), rows: 3, max: 2 };
        assert_eq!(multi(&nothing, &two, None), Err(empty));
    }

    #[test]
    fn what_does_not_fit_the_sign_is_refused() {
        let sign = sign(2, 8);
        let name = || "vms_01".to_owned();
        let of = |rows: &[&str]| multi(&wording(rows), &sign, None).unwrap_err();
        assert_eq!(of(&[]), MultiError::Rows { sign: name(), rows: 0, max: 2 });
        assert_eq!(of(&["A", "B", "C"]), MultiError::Rows { sign: name(), rows: 3, max: 2 });
        let width = |row, chars| MultiError::Width { sign: name(), row, chars, max: 8 };
        assert_eq!(of(&["QUEUE", "USE ROUTE"]), width(2, 9));
        assert_eq!(of(&["", "USE"]), width(1, 0));
        assert_eq!(of(&["PIÙ"]), MultiError::Character { row: 1, c: 'Ù' });
        assert_eq!(of(&["A\nB"]), MultiError::Character { row: 1, c: '\n' });
    }

    #[test]
    fn only_layout_tags_are_let_through() {
        let page = |rows: &[&str]| rows.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            rows_of("[jp3][pt30o5]A[nl][jl3]B[np]C[[1]]").unwrap(),
            [page(&["A", "B"]), page(&["C[1]"])]
        );
        for tag in
            ["[fl]", "[f1]", "[mv1]", "[ms1]", "[fo2]", "[hc41]", "[jl5]", "[cf1]", "[nl", "]"]
        {
            let markup = format!("A{tag}");
            assert!(matches!(rows_of(&markup), Err(MultiError::Tag(_))), "{markup}");
        }
    }

    proptest! {
        #[test]
        fn markup_reads_back(rows in prop::collection::vec("[ -~]{1,18}", 1..4)) {
            let words = Wording { text: rows.clone(), ..wording(&[]) };
            let markup = multi(&words, &sign(3, 18), None).unwrap();
            prop_assert_eq!(rows_of(&markup).unwrap(), vec![rows]);
        }

        #[test]
        fn reading_never_panics(markup in "[\\[\\]nlpjo0-9A-C ]{0,40}") {
            drop(rows_of(&markup));
        }
    }
}
