//! Whether what is spoken is what the text says, and nothing else.
//!
//! The markup is read by a reader of its own: whatever it does not know is refused.

use super::objection::{Objection, Rules};
use crate::domain::wording::{Language, Slot, Voice, Wording, WordingRequest};

/// A text that [`super::Guard::check`] let pass, as it is spoken; `home` is the language of names.
pub(super) fn check(
    rules: &Rules,
    request: &WordingRequest,
    wording: &Wording,
    voice: &Voice,
    home: Language,
) -> Result<(), Objection> {
    let text = wording.text.join(" ");
    if voice.say != aloud(&text, request.language) {
        rules.object(Objection::Voice { what: "the words", said: voice.say.clone(), text })?;
        return Ok(());
    }
    let (said, spoken) = match read(request, home, &voice.ssml) {
        Ok(read) => read,
        Err(said) => {
            return rules.object(Objection::Voice { what: "the markup", said, text });
        }
    };
    if said != text {
        return rules.object(Objection::Voice { what: "the markup's text", said, text });
    }
    if spoken != voice.say {
        rules.object(Objection::Voice { what: "the marked words", said: spoken, text })?;
    }
    Ok(())
}

/// The text with every count of minutes in words; nothing else in it is a number with this unit.
fn aloud(text: &str, language: Language) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        let number = words[at - 1].clone();
        let counts = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        let mark = words[at].trim_start_matches(char::is_alphabetic).to_owned();
        let unit = words[at].strip_suffix(&mark).unwrap_or_default();
        if counts && unit == "min" {
            words[at] = format!("{}{mark}", minutes(&number, language));
        }
    }
    words.join(" ")
}

fn minutes(number: &str, language: Language) -> &'static str {
    match (language, number) {
        (Language::En | Language::Fr, "1") => "minute",
        (Language::En | Language::Fr, _) => "minutes",
        (Language::It | Language::Es, "1") => "minuto",
        (Language::It, _) => "minuti",
        (Language::Es, _) => "minutos",
        (Language::De, "1") => "Minute",
        (Language::De, _) => "Minuten",
    }
}

/// The text without its markup, and the text as it is spoken; what cannot be read, as an error.
fn read(request: &WordingRequest, home: Language, ssml: &str) -> Result<(String, String), String> {
    let open = format!(
        "<speak version=\"1.1\" xmlns=\"http://www.w3.org/2001/10/synthesis\" xml:lang=\"{}\">",
        request.language.code()
    );
    let inside = ssml.strip_prefix(&open).and_then(|rest| rest.strip_suffix("</speak>"));
    let mut rest = inside.ok_or(ssml)?;
    let (mut said, mut spoken) = (String::new(), String::new());
    // The element that is open inside a sentence, with what it encloses and what is said for it.
    let mut marked: Option<(&str, String, Option<String>)> = None;
    let mut sentence = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('<') {
            let (tag, after) = after.split_once('>').ok_or(rest)?;
            match (tag, marked.take()) {
                ("s", None) if !sentence => sentence = true,
                ("/s", None) if sentence => sentence = false,
                ("/lang", Some(("lang", name, _))) if is_name(request, &name) => {
                    said.push_str(&name);
                    spoken.push_str(&name);
                }
                ("/sub", Some(("sub", text, Some(alias)))) if is_count(request, &text) => {
                    said.push_str(&text);
                    spoken.push_str(&alias);
                }
                (tag, None) if sentence => marked = Some(opened(tag, home)?),
                _ => return Err(format!("<{tag}>")),
            }
            rest = after;
            continue;
        }
        let end = rest.find('<').unwrap_or(rest.len());
        let text = plain(&rest[..end])?;
        match &mut marked {
            Some((_, inside, _)) => inside.push_str(&text),
            None if sentence || text.chars().all(|c| c == ' ') => {
                said.push_str(&text);
                spoken.push_str(&text);
            }
            None => return Err(text),
        }
        rest = &rest[end..];
    }
    if sentence { Err("<s>".to_owned()) } else { Ok((said, spoken)) }
}

fn opened(tag: &str, home: Language) -> Result<(&'static str, String, Option<String>), String> {
    let value = |attribute: &str| tag.strip_prefix(attribute).and_then(|v| v.strip_suffix('"'));
    if value("lang xml:lang=\"") == Some(home.code()) {
        return Ok(("lang", String::new(), None));
    }
    match value("sub alias=\"") {
        Some(alias) if !alias.contains(['"', '<', '&']) => {
            Ok(("sub", String::new(), Some(alias.to_owned())))
        }
        _ => Err(format!("<{tag}>")),
    }
}

fn is_name(request: &WordingRequest, text: &str) -> bool {
    Slot::NAMES.iter().filter_map(|slot| request.slot(*slot)).any(|fact| fact.text == text)
}

fn is_count(request: &WordingRequest, text: &str) -> bool {
    let counts = [Slot::Delay, Slot::Saving];
    counts.iter().filter_map(|slot| request.slot(*slot)).any(|fact| fact.text == text)
}

/// Characters as they are, of which three are written as entities.
fn plain(escaped: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';').ok_or(rest)?;
        plain.push_str(before);
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => return Err(format!("&{entity};")),
        });
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}
