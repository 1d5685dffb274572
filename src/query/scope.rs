//! What the names in a SELECT may refer to: the columns of its tables, and its own outputs.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::ast;
use super::places::nearest;

pub(super) struct Scope {
    schema: DFSchema,
    tables: Vec<Table>,
    /// Names of outputs, which ORDER BY, GROUP BY and HAVING may use as well.
    pub outputs: Vec<String>,
}

struct Table {
    /// The name in front of the dot; empty for a subquery without a name.
    qualifier: String,
    columns: Vec<(String, DataType)>,
}

/// What a name is.
pub(super) enum Name {
    /// A column of the table at this place.
    Column(usize, DataType),
    Output,
    /// Nothing, or not one thing: where, and what to say.
    Trouble {
        span: Span,
        message: String,
        help: String,
    },
}

impl Scope {
    pub(super) fn new() -> Self {
        Self { schema: DFSchema::empty(), tables: Vec::new(), outputs: Vec::new() }
    }

    /// For expressions over these tables.
    pub(super) fn schema(&self) -> &DFSchema {
        &self.schema
    }

    /// The names of all columns, as `*` gives them.
    pub(super) fn columns(&self) -> Vec<String> {
        let columns = self.tables.iter().flat_map(|table| &table.columns);
        columns.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn has_table(&self, qualifier: &str) -> bool {
        self.tables.iter().any(|table| table.qualifier == qualifier)
    }

    /// The place of the table that was joined last.
    pub(super) fn last(&self) -> usize {
        self.tables.len().saturating_sub(1)
    }

    /// One more table; `None` where the planner would not have it.
    pub(super) fn with(mut self, qualifier: String, schema: &Schema) -> Option<Self> {
        let table = if qualifier.is_empty() {
            DFSchema::try_from(schema.clone()).ok()?
        } else {
            DFSchema::try_from_qualified_schema(qualifier.as_str(), schema).ok()?
        };
        self.schema = if self.tables.is_empty() { table } else { self.schema.join(&table).ok()? };
        let columns = schema.fields().iter();
        let columns = columns.map(|field| (field.name().clone(), field.data_type().clone()));
        self.tables.push(Table { qualifier, columns: columns.collect() });
        Some(self)
    }

    pub(super) fn find(&self, qualifier: Option<&Ident>, name: &Ident) -> Name {
        let normal = ast::normal(name);
        let in_question = match qualifier {
            None => None,
            Some(qualifier) => {
                let table = ast::normal(qualifier);
                match self.tables.iter().position(|known| known.qualifier == table) {
                    Some(table) => Some(table),
                    None => return self.no_table(qualifier, name),
                }
            }
        };
        let holders: Vec<(usize, &DataType)> = (0..self.tables.len())
            .filter(|table| in_question.is_none_or(|only| only == *table))
            .filter_map(|table| Some((table, self.tables[table].kind(&normal)?)))
            .collect();
        match holders.as_slice() {
            [(table, kind)] => Name::Column(*table, (*kind).clone()),
            [] if in_question.is_none() && self.outputs.contains(&normal) => Name::Output,
            [] => self.no_column(in_question, name, &normal),
            [(first, _), (second, _), ..] => {
                let full = |table: usize| self.full(table, &normal);
                Name::Trouble {
                    span: name.span,
                    message: format!("more than one table has a column `{}`", name.value),
                    help: format!("write {} or {}", full(*first), full(*second)),
                }
            }
        }
    }

    fn no_table(&self, qualifier: &Ident, name: &Ident) -> Name {
        let normal = ast::normal(name);
        let holder = (0..self.tables.len()).find(|at| self.tables[*at].kind(&normal).is_some());
        let help = match (self.tables.as_slice(), holder) {
            ([only], _) => format!("leave it out, or write `{}.{}`", only.qualifier, name.value),
            (_, Some(table)) => format!("write {}", self.full(table, &normal)),
            (tables, None) => {
                let names: Vec<&str> = tables.iter().map(|t| t.qualifier.as_str()).collect();
                format!("the tables here are {}", names.join(", "))
            }
        };
        let message = format!("there is no table `{}` here", qualifier.value);
        Name::Trouble { span: qualifier.span, message, help }
    }

    /// Says the nearest name: in the table that was meant, or else in any.
    fn no_column(&self, table: Option<usize>, name: &Ident, normal: &str) -> Name {
        let asked: Vec<usize> = table.map_or_else(|| (0..self.tables.len()).collect(), |t| vec![t]);
        let names = |tables: &[usize]| -> Vec<(usize, &str)> {
            let of = |table: usize| {
                self.tables[table].columns.iter().map(move |(name, _)| (table, name.as_str()))
            };
            tables.iter().copied().flat_map(of).collect()
        };
        let known = names(&asked);
        let elsewhere = self.tables.iter().position(|table| table.kind(normal).is_some());
        let outputs = self.outputs.iter().map(String::as_str).filter(|_| table.is_none());
        let near = nearest(&name.value, known.iter().map(|(_, name)| *name).chain(outputs));
        let help = match (elsewhere, near) {
            (Some(table), _) => format!("did you mean {}?", self.full(table, normal)),
            (None, Some(near)) => {
                let holder = known.iter().find(|(_, name)| *name == near);
                match holder {
                    Some((holder, _)) if self.tables.len() > 1 => {
                        format!("did you mean {}?", self.full(*holder, near))
                    }
                    _ if near.to_lowercase() == near => format!("did you mean `{near}`?"),
                    _ => format!("did you mean `\"{near}\"`, with the quotes?"),
                }
            }
            (None, None) => {
                let names: Vec<&str> = known.iter().map(|(_, name)| *name).collect();
                format!("its columns are {}", names.join(", "))
            }
        };
        let message = match asked.as_slice() {
            [only] if self.tables[*only].qualifier.is_empty() => {
                format!("the subquery has no column `{}`", name.value)
            }
            [only] => format!("`{}` has no column `{}`", self.tables[*only].qualifier, name.value),
            _ => format!("no table here has a column `{}`", name.value),
        };
        Name::Trouble { span: name.span, message, help }
    }

    /// A column with its table, as it is to be written.
    fn full(&self, table: usize, column: &str) -> String {
        let quoted = |name: &str| {
            if name.to_lowercase() == name { name.to_owned() } else { format!("\"{name}\"") }
        };
        let qualifier = &self.tables[table].qualifier;
        if qualifier.is_empty() {
            return format!("`{}`", quoted(column));
        }
        format!("`{}.{}`", quoted(qualifier), quoted(column))
    }
}

impl Table {
    fn kind(&self, column: &str) -> Option<&DataType> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, kind)| kind)
    }
}
