//! A vehicle's text as it is spoken: plain, and as markup for speech synthesis.
//!
//! SSML 1.1 (W3C Recommendation, 7 September 2010), of which any engine knows what is used here:
//! sentences, the language of a name that is not the text's, and the words for a unit. Knows nothing
//! of where a text comes from.

use super::fill::{self, FillError, Part};
use crate::domain::wording::{Draft, Language, Slot, Voice, WordingRequest};

/// `home`: the language that the names of the network are in.
///
/// # Errors
///
/// Those of [`fill::fill`].
pub fn voice(request: &WordingRequest, draft: &Draft, home: Language) -> Result<Voice, FillError> {
    let mut used = Vec::new();
    let (mut say, mut sentences) = (String::new(), Sentences::default());
    for (index, row) in draft.rows.iter().enumerate() {
        for part in fill::parts(request, row, index + 1, &mut used)? {
            match part {
                Part::Words(words) => {
                    say.push_str(&words);
                    sentences.words(&words);
                }
                Part::Fact(Slot::Delay | Slot::Saving, fact) => {
                    let aloud = aloud(fact, request.language);
                    say.push_str(&aloud);
                    sentences.marked(fact, &format!("sub alias=\"{aloud}\""), "sub");
                }
                Part::Fact(Slot::Turn | Slot::Until | Slot::Since | Slot::Lanes, fact) => {
                    say.push_str(fact);
                    sentences.word(fact);
                }
                Part::Fact(_, name) if request.language == home => {
                    say.push_str(name);
                    sentences.word(name);
                }
                Part::Fact(_, name) => {
                    say.push_str(name);
                    sentences.marked(name, &format!("lang xml:lang=\"{}\"", home.code()), "lang");
                }
            }
        }
    }
    let ssml = format!(
        "<speak version=\"1.1\" xmlns=\"http://www.w3.org/2001/10/synthesis\" xml:lang=\"{}\">{}</speak>",
        request.language.code(),
        sentences.end()
    );
    Ok(Voice { say, ssml })
}

/// `6 min` in words as far as they are letters; engines read numbers.
fn aloud(minutes: &str, language: Language) -> String {
    let number = minutes.split(' ').next().unwrap_or_default();
    let (one, more) = match language {
        Language::En | Language::Fr => ("minute", "minutes"),
        Language::It => ("minuto", "minuti"),
        Language::De => ("Minute", "Minuten"),
        Language::Es => ("minuto", "minutos"),
    };
    format!("{number} {}", if number == "1" { one } else { more })
}

/// Markup in which each sentence is one.
#[derive(Default)]
struct Sentences {
    whole: String,
    open: bool,
}

impl Sentences {
    /// Words of a draft, in which a point ends a sentence.
    fn words(&mut self, words: &str) {
        for c in words.chars() {
            if !self.open && c == ' ' {
                self.whole.push(c);
                continue;
            }
            self.begin();
            self.push(c);
            if c == '.' {
                self.whole.push_str("</s>");
                self.open = false;
            }
        }
    }

    /// A name, in which a point ends nothing.
    fn word(&mut self, name: &str) {
        self.begin();
        for c in name.chars() {
            self.push(c);
        }
    }

    fn marked(&mut self, text: &str, open: &str, close: &str) {
        self.begin();
        self.whole.push('<');
        self.whole.push_str(open);
        self.whole.push('>');
        self.word(text);
        self.whole.push_str("</");
        self.whole.push_str(close);
        self.whole.push('>');
    }

    fn begin(&mut self) {
        if !self.open {
            self.whole.push_str("<s>");
            self.open = true;
        }
    }

    fn push(&mut self, c: char) {
        match c {
            '&' => self.whole.push_str("&amp;"),
            '<' => self.whole.push_str("&lt;"),
            '>' => self.whole.push_str("&gt;"),
            c => self.whole.push(c),
        }
    }

    fn end(mut self) -> String {
        if self.open {
            self.whole.push_str("</s>");
        }
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wording::{Problem, SlotFact, Space};

    fn spoken(language: Language, home: Language, row: &str) -> Voice {
        let fact = |slot, text: &str| SlotFact { slot, text: text.to_owned(), required: false };
        let request = WordingRequest {
            language,
            problem: Problem::Queue,
            reason: None,
            slots: vec![
                fact(Slot::Closed, "Via S. Vitale & Figli"),
                fact(Slot::Turn, "links"),
                fact(Slot::Delay, "6 min"),
                fact(Slot::Saving, "1 min"),
            ],
            space: Space::Vehicle { max_chars: 200 },
            seed: 1,
        };
        voice(&request, &Draft::of_rows(vec![row.to_owned()]), home).unwrap()
    }

    #[test]
    fn units_are_said_and_names_keep_their_language() {
        let row = "stau in <CLOSED_0>. <DELAY> verzögerung, <TURN>.";
        let voice = spoken(Language::De, Language::It, row);
        assert_eq!(voice.say, "Stau in Via S. Vitale & Figli. 6 Minuten Verzögerung, links.");
        assert_eq!(
            voice.ssml,
            "<speak version=\"1.1\" xmlns=\"http://www.w3.org/2001/10/synthesis\" \
             xml:lang=\"de\"><s>Stau in <lang xml:lang=\"it\">Via S. Vitale &amp; Figli</lang>.</s> \
             <s><sub alias=\"6 Minuten\">6 min</sub> Verzögerung, links.</s></speak>"
        );
    }

    #[test]
    fn at_home_names_are_words_like_others_and_one_minute_is_one() {
        let voice = spoken(Language::It, Language::It, "coda in <CLOSED_0>. risparmio <SAVING>.");
        assert_eq!(voice.say, "Coda in Via S. Vitale & Figli. Risparmio 1 minuto.");
        assert!(voice.ssml.contains("<s>Coda in Via S. Vitale &amp; Figli.</s> <s>Risparmio "));
    }
}
