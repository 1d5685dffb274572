//! Folding of names, so that a sign's capitals and a map's accents compare equal.
//!
//! Knows no network: one name in, one name out.

/// What is left of a name when a sign's character set has taken its share: upper case, `A` to `Z`,
/// `0` to `9`, `.`, `'`, `/`, `-` and single spaces between words, nothing else. Accents are
/// dropped (`é` is `E`, `ß` is `SS`, `ø` is `O`), typographic apostrophes and dashes become `'`
/// and `-`, every other sign is a space. Two names with one fold cannot be told apart on a sign.
///
/// Letters of other scripts have no fold: see `unspeakable`.
pub fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_uppercase) {
        match Shown::of(letter) {
            Shown::Same => folded.push(letter),
            Shown::As(text) => folded.push_str(text),
            Shown::Nothing => {}
            Shown::Gap if folded.is_empty() || folded.ends_with(' ') => {}
            Shown::Gap => folded.push(' '),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// The first letter or digit of a name that [`fold`] cannot show and would lose: Greek, Cyrillic,
/// Chinese. A name that has one must be written in Latin letters before a sign may show it.
pub(super) fn unspeakable(name: &str) -> Option<char> {
    let lost = |letter| matches!(Shown::of(letter), Shown::Gap);
    name.chars().find(|c| c.is_alphanumeric() && c.to_uppercase().any(lost))
}

/// How one upper-case character comes out.
enum Shown {
    Same,
    As(&'static str),
    Nothing,
    Gap,
}

impl Shown {
    fn of(letter: char) -> Self {
        match letter {
            'A'..='Z' | '0'..='9' | '.' | '\'' | '/' | '-' => Self::Same,
            '’' | '‘' | '‛' | 'ʼ' | 'ʹ' | '`' | '´' | '′' => Self::As("'"),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => Self::As("-"),
            // Combining marks, the soft hyphen, zero-width signs, variation selectors.
            '\u{300}'..='\u{36f}'
            | '\u{ad}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'
            | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}' => Self::Nothing,
            _ => PLAIN
                .iter()
                .find(|(_, letters)| letters.contains(letter))
                .map_or(Self::Gap, |(plain, _)| Self::As(plain)),
        }
    }
}

/// Latin capitals with a mark, by the plain letters that stand for them: the blocks Latin-1
/// Supplement, Latin Extended-A and Latin Extended Additional, and what European and Vietnamese
/// spelling needs of Extended-B.
const PLAIN: [(&str, &str); 33] = [
    ("A", "\u{212b}ÀÁÂÃÄÅĀĂĄǍǞǠǺȀȂȦḀẠẢẤẦẨẪẬẮẰẲẴẶª"),
    ("AE", "ÆǢǼ"),
    ("B", "ḂḄḆ"),
    ("C", "ÇĆĈĊČḈ"),
    ("D", "ÐĎĐḊḌḎḐḒ"),
    ("E", "ÈÉÊËĒĔĖĘĚȄȆȨƏḔḖḘḚḜẸẺẼẾỀỂỄỆ"),
    ("F", "Ḟ"),
    ("G", "ĜĞĠĢǤǦǴḠ"),
    ("H", "ĤĦȞḢḤḦḨḪ"),
    ("I", "ÌÍÎÏĨĪĬĮİǏȈȊḬḮỈỊ"),
    ("IJ", "Ĳ"),
    ("J", "Ĵ"),
    ("K", "\u{212a}ĶǨĸḰḲḴ"),
    ("L", "ĹĻĽĿŁḶḸḺḼ"),
    ("M", "ḾṀṂ"),
    ("N", "ÑŃŅŇǸṄṆṈṊ"),
    ("NG", "Ŋ"),
    ("O", "ÒÓÔÕÖØŌŎŐƠǑǪǬǾȌȎȪȬȮȰṌṎṐṒỌỎỐỒỔỖỘỚỜỞỠỢº"),
    ("OE", "Œ"),
    ("P", "ṔṖ"),
    ("R", "ŔŖŘȐȒṘṚṜṞ"),
    ("S", "ŚŜŞŠȘṠṢṤṦṨ"),
    ("SS", "ẞ"),
    ("T", "ŢŤŦȚṪṬṮṰ"),
    ("TH", "Þ"),
    ("U", "ÙÚÛÜŨŪŬŮŰŲƯǓǕǗǙǛȔȖṲṴṶṸṺỤỦỨỪỬỮỰ"),
    ("V", "ṼṾ"),
    ("W", "ŴẀẂẄẆẈ"),
    ("X", "ẊẌ"),
    ("Y", "ÝŶŸȲẎỲỴỶỸ"),
    ("Z", "ŹŻŽẐẒẔ"),
    ("DZ", "ǄǱ"),
    ("LJ", "Ǉ"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_as_a_sign_shows_them() {
        for (name, folded) in [
            ("Via dell’Università", "VIA DELL'UNIVERSITA"),
            ("Avenue de Grande–Bretagne", "AVENUE DE GRANDE-BRETAGNE"),
            ("Rue de la Lüjerneta", "RUE DE LA LUJERNETA"),
            ("Große Straße", "GROSSE STRASSE"),
            ("GROẞE", "GROSSE"),
            ("Østergade  7 ", "OSTERGADE 7"),
            ("Boulevard Albert 1er", "BOULEVARD ALBERT 1ER"),
            ("Cafe\u{301} (vecchio), \u{a0}n. 3/b", "CAFE VECCHIO N. 3/B"),
            ("Łódź Ærø Œuvre Þór Điện Biên Phủ ŉ", "LODZ AERO OEUVRE THOR DIEN BIEN PHU 'N"),
            ("VIA [nl] ROMA", "VIA NL ROMA"),
            ("1ª Traversa", "1A TRAVERSA"),
            ("Mühlenstraße, Äußere Öchsle", "MUHLENSTRASSE AUSSERE OCHSLE"),
            ("rue du Cœur-Volant, quai François", "RUE DU COEUR-VOLANT QUAI FRANCOIS"),
            ("allée de l’Île d’Aÿ", "ALLEE DE L'ILE D'AY"),
            ("Calle Muñoz Güell, paseo Çaña", "CALLE MUNOZ GUELL PASEO CANA"),
            ("\u{212a}elvin, \u{212b}ngström", "KELVIN ANGSTROM"),
            ("  ", ""),
        ] {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    #[test]
    fn letters_of_other_scripts_are_named() {
        assert_eq!(unspeakable("Via Šibenik 12"), None);
        assert_eq!(unspeakable("Rue de l'Œuvre, 2º"), None);
        assert_eq!(unspeakable("Οδός"), Some('Ο'));
        assert_eq!(unspeakable("Via Мир"), Some('М'));
        assert_eq!(unspeakable("東京"), Some('東'));
    }

    #[test]
    fn every_marked_letter_stands_in_the_table_once_and_in_upper_case() {
        let all: Vec<char> = PLAIN.iter().flat_map(|(_, letters)| letters.chars()).collect();
        for (i, letter) in all.iter().enumerate() {
            assert!(!all[..i].contains(letter), "{letter} stands twice");
            assert!(letter.to_uppercase().eq([*letter]) || "ĸ".contains(*letter), "{letter}");
        }
    }

    proptest! {
        #[test]
        fn only_what_a_sign_can_show(name in "\\PC{0,40}") {
            let folded = fold(&name);
            prop_assert!(folded.chars().all(|c| matches!(
                c,
                'A'..='Z' | '0'..='9' | '.' | '\'' | '/' | '-' | ' '
            )));
            prop_assert!(!folded.contains("  ") && folded.trim() == folded);
        }

        #[test]
        fn folding_twice_is_folding_once(name in any::<String>()) {
            let folded = fold(&name);
            prop_assert_eq!(fold(&folded), folded.clone());
            prop_assert_eq!(fold(&name.to_lowercase()), fold(&folded.to_lowercase()));
        }

        #[test]
        fn what_is_speakable_loses_no_letter(name in "[a-zA-ZÀ-ÖØ-öø-ÿ0-9]{1,20}") {
            prop_assert_eq!(unspeakable(&name), None);
            prop_assert!(fold(&name).len() >= name.chars().count());
        }
    }
}
