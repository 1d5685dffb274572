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
    #[error("font, line {line}: {what}")]
    Line { line: usize, what: String },
    #[error("font: {0}")]
    Invalid(String),
    #[error("page {page}: {what}")]
    Render { page: usize, what: String },
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
        let glyphs = check_lines(font)?;
        let invalid = |error: &dyn fmt::Display| FontError::Invalid(error.to_string());
        let font = tfon::parse::<MAX_GLYPHS>(font).map_err(|e| invalid(&e))?;
        font.validate().map_err(|e| invalid(&e))?;
        let read = font.characters.iter().filter(|c| c.width > 0).count();
        if read != glyphs {
            // The reader ends silently at the first line that it does not understand.
            return Err(FontError::Invalid(format!("{read} of {glyphs} characters understood")));
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

/// Refuses what the reader would panic on: symbols beyond Latin-1, too many or too large glyphs.
/// Returns the number of glyphs.
fn check_lines(font: &str) -> Result<usize, FontError> {
    let mut glyphs = 0;
    let mut glyph_rows = 0;
    for (index, line) in font.lines().enumerate() {
        let wrong = |what: &str| FontError::Line { line: index + 1, what: what.to_owned() };
        if let Some(code) = line.strip_prefix("ch: ") {
            let code = code.split(' ').next().and_then(|code| code.parse::<u8>().ok());
            if code.is_none_or(|code| code == 0) {
                return Err(wrong("a character's code is 1 to 255"));
            }
            glyphs += 1;
            glyph_rows = 0;
        } else if !line.is_empty() && !line.contains(": ") {
            glyph_rows += 1;
            if line.len() > MAX_GLYPH_PX || glyph_rows > MAX_GLYPH_PX {
                return Err(wrong("a glyph is at most 64 by 64 pixels"));
            }
        }
        if glyphs > MAX_GLYPHS {
            return Err(wrong("a font has at most 256 characters"));
        }
    }
    Ok(glyphs)
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
        assert!(matches!(of("ch: 256 ?\n@@\n"), FontError::Line { line: 1, .. }));
        assert!(matches!(of(&"@\n".repeat(65)), FontError::Line { line: 65, .. }));
        let many = "ch: 65 A\n@\n".repeat(257);
        assert!(matches!(of(&many), FontError::Line { .. }));
        let wrong_symbol = blocks().replace("ch: 66 B", "ch: 66 C");
        assert!(matches!(of(&wrong_symbol), FontError::Invalid(_)));
    }
}
