//! A sign's own font and pixels: does a marked-up text fit, dot by dot?
//!
//! Reads `tfon` fonts and renders with the `ntcip` crate. The crate's reader trusts its input, so
//! what would make it panic is refused before. Knows nothing of files.

use std::fmt;

use ntcip::dms::config::{MultiCfg, SignCfg, VmsCfg};
use ntcip::dms::{Dms, FontTable, Pages, tfon};

/// Latin-1: what the font format knows symbols for.
const MAX_GLYPHS: usize = 256;
/// Larger glyphs than any sign's.
const MAX_GLYPH_PX: usize = 64;

/// Why a font is of no use, or a text does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FontError {
    /// `line` counts from 1.
    #[error("font, line {line}: {what}")]
    Line { line: usize, what: String },
    #[error("font: {0}")]
    Invalid(String),
    #[error("page {page}: {what}")]
    Render { page: usize, what: String },
}

impl FontError {
    /// The line of the font's file, from 1, where it can be had.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } => Some(*line),
            Self::Invalid(_) | Self::Render { .. } => None,
        }
    }
}

/// A sign's matrix with its default font.
pub struct SignFont {
    matrix: Box<Dms<MAX_GLYPHS, 1, 0>>,
}

impl fmt::Debug for SignFont {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width_px, height_px) = (self.matrix.pixel_width(), self.matrix.pixel_height());
        f.debug_struct("SignFont")
            .field("width_px", &width_px)
            .field("height_px", &height_px)
            .finish_non_exhaustive()
    }
}

impl SignFont {
    /// A full-matrix sign of this many pixels that shows all text in the given `tfon` font.
    pub fn parse(font: &str, width_px: u16, height_px: u16) -> Result<Self, FontError> {
        let lines = check_lines(font)?;
        let invalid = |error: &dyn fmt::Display| FontError::Invalid(error.to_string());
        let font = tfon::parse::<MAX_GLYPHS>(font).map_err(|e| invalid(&e))?;
        font.validate().map_err(|e| invalid(&e))?;
        let read = font.characters.iter().filter(|c| c.width > 0).count();
        if let Some(line) = lines.get(read) {
            // The reader ends silently at a symbol that it does not know under this code.
            let what = "this character's code and symbol do not belong together".to_owned();
            return Err(FontError::Line { line: *line, what });
        }
        let default_font = font.number;
        let mut fonts = FontTable::default();
        if let Some(empty) = fonts.font_mut(0) {
            *empty = font;
        }
        let matrix = Dms::builder()
            // Faces and pitches in millimetres do not matter here; the widest passes the check.
            .with_sign_cfg(SignCfg {
                sign_width: u16::MAX,
                sign_height: u16::MAX,
                horizontal_border: 0,
                vertical_border: 0,
                ..SignCfg::default()
            })
            .with_vms_cfg(VmsCfg {
                char_height_pixels: 0,
                char_width_pixels: 0,
                sign_width_pixels: width_px,
                sign_height_pixels: height_px,
                horizontal_pitch: 1,
                vertical_pitch: 1,
                ..VmsCfg::default()
            })
            .with_font_definition(fonts)
            .with_multi_cfg(MultiCfg { default_font, ..MultiCfg::default() })
            .build()
            .map_err(|e| invalid(&e))?;
        Ok(Self { matrix: Box::new(matrix) })
    }

    /// Renders every page. The markup must have passed [`super::rows_of`] or be without tags: on some
    /// of the other ones the renderer panics.
    pub(super) fn check(&self, markup: &str) -> Result<(), FontError> {
        for (index, page) in Pages::new(&self.matrix, markup).enumerate() {
            page.map_err(|e| FontError::Render { page: index + 1, what: e.to_string() })?;
        }
        Ok(())
    }
}

/// A character of a font while its lines are read.
struct Glyph {
    line: usize,
    code: u8,
    width: usize,
    rows: usize,
    /// Something else came below its rows.
    ended: bool,
}

/// Refuses what the reader would panic on (symbols beyond Latin-1, more bitmaps than characters), and
/// at its line what would make it end early, which it does in silence. Returns the lines of the
/// characters.
fn check_lines(font: &str) -> Result<Vec<usize>, FontError> {
    let mut glyphs: Vec<Glyph> = Vec::new();
    for (index, text) in font.lines().enumerate() {
        let line = index + 1;
        let wrong = |what: &str| Err(FontError::Line { line, what: what.to_owned() });
        match text.split_once(": ") {
            Some(("ch", rest)) => {
                let code = rest.split(' ').next().and_then(|code| code.parse().ok());
                let Some(code) = code.filter(|code| *code > 0) else {
                    return wrong("a character's code is 1 to 255");
                };
                if glyphs.iter().any(|glyph| glyph.code == code) {
                    return wrong("this character stands here twice");
                }
                glyphs.push(Glyph { line, code, width: 0, rows: 0, ended: false });
            }
            Some((key, value)) => {
                let numeric = matches!(key, "font_number" | "char_spacing" | "line_spacing");
                if numeric && value.parse::<u8>().is_err() {
                    return wrong("this is a number from 0 to 255");
                }
                if let Some(glyph) = glyphs.last_mut() {
                    glyph.ended = glyph.rows > 0;
                }
            }
            None if text.is_empty() => {}
            None => {
                let dots = text.bytes().all(|dot| matches!(dot, b'@' | b'.'));
                let Some(glyph) = glyphs.last_mut().filter(|_| dots) else {
                    return wrong("no `key: value`, and no row of `@` and `.` below its `ch: `");
                };
                if glyph.ended || glyph.rows > 0 && glyph.width != text.len() {
                    return wrong("a character's rows are of one width, one below the other");
                }
                glyph.width = text.len();
                glyph.rows += 1;
                if glyph.width > MAX_GLYPH_PX || glyph.rows > MAX_GLYPH_PX {
                    return wrong("a glyph is at most 64 by 64 pixels");
                }
            }
        }
    }
    let height = glyphs.first().map_or(0, |glyph| glyph.rows);
    match glyphs.iter().find(|glyph| glyph.rows == 0 || glyph.rows != height) {
        Some(glyph) => {
            let what = "this character has no rows, or not as many as the first".to_owned();
            Err(FontError::Line { line: glyph.line, what })
        }
        None => Ok(glyphs.iter().map(|glyph| glyph.line).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// Solid blocks of 5 by 7, one dot apart, for the capitals and the space.
    fn blocks() -> String {
        let mut font =
            "font_name: blocks\nfont_number: 3\nchar_spacing: 1\nline_spacing: 2\n".to_owned();
        for c in std::iter::once(' ').chain('A'..='Z') {
            let symbol = if c == ' ' { "SP".to_owned() } else { c.to_string() };
            let row = if c == ' ' { "....." } else { "@@@@@" };
            write!(font, "\nch: {} {symbol}\n", u32::from(c)).unwrap();
            for _ in 0..7 {
                writeln!(font, "{row}").unwrap();
            }
        }
        font
    }

    #[test]
    fn pixels_decide() {
        // Three rows of 7 with 2 between: 25. Six characters of 5 with 1 between: 35.
        let font = SignFont::parse(&blocks(), 35, 25).unwrap();
        assert_eq!(font.check("ABCDEF[nl]A[nl]B"), Ok(()));
        let too_big = |markup| matches!(font.check(markup), Err(FontError::Render { page: 1, .. }));
        assert!(too_big("ABCDEFG"));
        assert!(too_big("A[nl]B[nl]C[nl]D"));
        assert!(too_big("A1"), "no such character in the font");
    }

    #[test]
    fn broken_fonts_are_refused() {
        let of = |font: &str| SignFont::parse(font, 35, 25).unwrap_err();
        assert!(matches!(of(""), FontError::Invalid(_)));
        let blocks = blocks();
        let line_of = |line: &str| blocks.lines().position(|text| text == line).unwrap() + 1;
        let b = line_of("ch: 66 B");
        // Two bitmaps a character: more of them than the reader has room for.
        let narrowing = |n: u32| format!("ch: {n} ?\n{}", "@\n@@\n".repeat(32));
        let overfull: String = (1..=5).map(narrowing).collect();
        for (font, line) in [
            ("ch: 256 ?\n@@\n".to_owned(), 1),
            (format!("ch: 65 A\n{}", "@\n".repeat(65)), 66),
            (format!("ch: 65 A\n{}\n", "@".repeat(65)), 2),
            ("ch: 65 A\n@\n".repeat(2), 3),
            ("@\n".to_owned(), 1),
            (overfull, 3),
            ("ch: 65 A\n@\nnote: x\n@\n".to_owned(), 4),
            (blocks.replace("ch: 66 B", "ch: 66 C"), b),
            (blocks.replace("ch: 66 B\n@@@@@\n", "ch: 66 B\n"), b),
            (blocks.replace("ch: 66 B\n@@@@@", "ch: 66 B\n@@x@@"), b + 1),
            (blocks.replace("char_spacing: 1", "char_spacing: one"), line_of("char_spacing: 1")),
        ] {
            assert_eq!(of(&font).line(), Some(line), "{:?}\n{font:.200}", of(&font));
        }
    }
}
