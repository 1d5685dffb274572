//! What the expressions of a query mean over its columns: unknown names, and types that do not go
//! together, each at its place.
//!
//! The planner stops at the first trouble and often knows no place for it. So every expression is
//! planned here by itself, from the inside out: the innermost that fails is the one to point at.

use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::execution::SessionState;
use datafusion::logical_expr::ExprSchemable;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Cte, Expr, ExprWithAlias, GroupByExpr, Ident, JoinConstraint, JoinOperator,
    Query, Select, SelectItem, SetExpr, Spanned, TableFactor, With,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::places::Places;
use super::scope::{Name, Scope};
use super::session::logical_plan;
use super::{SqlFinding, Tables, ast, parse};

/// What can be told of a query's names and types.
pub(super) fn troubles(
    query: &Query,
    tables: &Tables,
    state: &SessionState,
    places: &Places<'_>,
) -> Vec<SqlFinding> {
    let mut meaning = Meaning { tables, state, places, findings: Vec::new() };
    meaning.query(query, &[]);
    meaning.findings
}

struct Meaning<'a> {
    tables: &'a Tables,
    state: &'a SessionState,
    places: &'a Places<'a>,
    findings: Vec<SqlFinding>,
}

/// What is known of an expression.
enum Typed {
    As(DataType),
    /// Nothing, for now: the planner has the last word.
    Unknown,
    /// It, or something inside it, is wrong, and that has been said.
    Wrong,
}

impl Meaning<'_> {
    fn find(&mut self, span: Span, message: String, help: Option<String>) {
        self.findings.push(SqlFinding { offset: self.places.range(span), message, help });
    }

    fn query(&mut self, query: &Query, named: &[Cte]) {
        let mut named = named.to_vec();
        for part in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&part.query, &named);
            named.push(part.clone());
        }
        self.body(&query.body, query, &named);
    }

    fn body(&mut self, body: &SetExpr, query: &Query, named: &[Cte]) {
        match body {
            SetExpr::Select(select) => self.select(select, query, named),
            SetExpr::Query(inner) => self.query(inner, named),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, query, named);
                self.body(right, query, named);
                self.union(left, right, named);
            }
            _ => {}
        }
    }

    /// Both sides of a union have the same columns, in kind if not in name.
    fn union(&mut self, left: &SetExpr, right: &SetExpr, named: &[Cte]) {
        let bare = |body: &SetExpr| ast::query_of(body.clone());
        let (Some(first), Some(second)) =
            (self.planned_schema(&bare(left), named), self.planned_schema(&bare(right), named))
        else {
            return;
        };
        let (widths, place) = ((first.fields().len(), second.fields().len()), right.span());
        if widths.0 != widths.1 {
            let message = format!("UNION ALL puts {} columns under {}", widths.1, widths.0);
            let help = "both SELECTs need the same columns in the same order".to_owned();
            self.find(place, message, Some(help));
            return;
        }
        for (above, below) in first.fields().iter().zip(second.fields()) {
            let (a, b) = (above.data_type(), below.data_type());
            if family(a) != family(b) && ![family(a), family(b)].contains(&Family::Null) {
                let message = format!(
                    "UNION ALL puts `{}`, which is {}, under `{}`, which is {}",
                    below.name(),
                    word(b),
                    above.name(),
                    word(a)
                );
                let help = "both SELECTs need the same columns in the same order".to_owned();
                self.find(place, message, Some(help));
            }
        }
    }

    fn select(&mut self, select: &Select, query: &Query, named: &[Cte]) {
        let Some(mut scope) = self.scope(select, named) else { return };
        self.repeated_outputs(select, &scope);
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.probe(expr, &scope, named);
            }
        }
        if let Some(condition) = &select.selection {
            self.condition(condition, "WHERE", &scope, named);
        }
        scope.outputs = select.projection.iter().filter_map(output_name).map(ast::normal).collect();
        if let GroupByExpr::Expressions(exprs, _) = &select.group_by {
            for expr in exprs {
                self.probe(expr, &scope, named);
            }
        }
        if let Some(condition) = &select.having {
            self.condition(condition, "HAVING", &scope, named);
        }
        // After a union the order is by its own columns, which the planner knows.
        if matches!(query.body.as_ref(), SetExpr::Select(_)) {
            for order in ast::orders(query).unwrap_or_default() {
                self.probe(order, &scope, named);
            }
        }
    }

    /// `None` where the FROM cannot be made out; the reason has been found, or the planner finds it.
    fn scope(&mut self, select: &Select, named: &[Cte]) -> Option<Scope> {
        let [from] = select.from.as_slice() else { return None };
        let mut scope = self.table(&from.relation, Scope::new(), named)?;
        for join in &from.joins {
            scope = self.table(&join.relation, scope, named)?;
            if let JoinOperator::Join(JoinConstraint::On(on))
            | JoinOperator::Inner(JoinConstraint::On(on))
            | JoinOperator::Left(JoinConstraint::On(on))
            | JoinOperator::LeftOuter(JoinConstraint::On(on)) = &join.join_operator
            {
                self.on(on, &scope, named);
            }
        }
        Some(scope)
    }

    fn table(&mut self, table: &TableFactor, scope: Scope, named: &[Cte]) -> Option<Scope> {
        let (schema, qualifier) = match table {
            TableFactor::Derived { subquery, alias, .. } => {
                self.query(subquery, named);
                let qualifier = alias.as_ref().map(|alias| ast::normal(&alias.name));
                (self.planned_schema(subquery, named)?, qualifier.unwrap_or_default())
            }
            other => {
                let (name, alias) = ast::plain_table(other)?;
                let name = ast::normal(ast::single(name)?);
                let part = named.iter().rev().find(|part| ast::normal(&part.alias.name) == name);
                let schema = match part {
                    Some(part) => self.planned_schema(&part.query, named)?,
                    None => self.tables.schema(&name)?.as_ref().clone(),
                };
                (schema, alias.map_or(name, |alias| ast::normal(&alias.name)))
            }
        };
        if scope.has_table(&qualifier) {
            let message = format!("two tables are called `{qualifier}` here");
            let help = format!("give one of them another name: {qualifier} AS other");
            self.find(table.span(), message, Some(help));
            return None;
        }
        scope.with(qualifier, &schema)
    }

    /// Each equality has to tie the new table to the ones before it.
    fn on(&mut self, condition: &Expr, scope: &Scope, named: &[Cte]) {
        match condition {
            Expr::Nested(inner) => self.on(inner, scope, named),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.on(left, scope, named);
                self.on(right, scope, named);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                if matches!(self.probe(condition, scope, named), Typed::Wrong) {
                    return;
                }
                let tables = (column_table(left, scope), column_table(right, scope));
                if let (Some(left), Some(right)) = tables
                    && (left.max(right) != scope.last() || left == right)
                {
                    let message =
                        "this says nothing of how the new table's rows go with the others";
                    let help = "one side of `=` is a column of the table after JOIN, the other one \
                                of a table before it";
                    self.find(condition.span(), message.to_owned(), Some(help.to_owned()));
                }
            }
            _ => {}
        }
    }

    /// The columns that come out of a subquery, if it can be planned.
    fn planned_schema(&self, query: &Query, named: &[Cte]) -> Option<Schema> {
        let mut query = query.clone();
        let own = query.with.take();
        let mut cte_tables = named.to_vec();
        cte_tables.extend(own.iter().flat_map(|with| with.cte_tables.clone()));
        if !cte_tables.is_empty() {
            let with_token = own.map_or_else(AttachedToken::empty, |with| with.with_token);
            query.with = Some(With { with_token, recursive: false, cte_tables });
        }
        let plan = logical_plan(self.state, query).ok()?;
        Some(plan.schema().as_arrow().clone())
    }

    fn repeated_outputs(&mut self, select: &Select, scope: &Scope) {
        let mut seen: Vec<String> = Vec::new();
        for item in &select.projection {
            let new = match item {
                SelectItem::Wildcard(_) => scope.columns(),
                item => output_name(item).map(ast::normal).into_iter().collect::<Vec<_>>(),
            };
            for name in new {
                if seen.contains(&name) {
                    let message = format!("the output `{name}` stands twice");
                    let help = "give one of them another name with AS".to_owned();
                    self.find(item.span(), message, Some(help));
                }
                seen.push(name);
            }
        }
    }

    fn condition(&mut self, expr: &Expr, clause: &str, scope: &Scope, named: &[Cte]) {
        let Typed::As(kind) = self.probe(expr, scope, named) else { return };
        if !matches!(kind, DataType::Boolean | DataType::Null) {
            let message = format!("{clause} needs a condition, and this is {}", word(&kind));
            self.find(expr.span(), message, Some("compare it with something".to_owned()));
        }
    }

    fn probe(&mut self, expr: &Expr, scope: &Scope, named: &[Cte]) -> Typed {
        if let Some(query) = ast::subquery(expr) {
            self.query(query, named);
            return Typed::Unknown;
        }
        match expr {
            Expr::Identifier(name) => return self.column(None, name, scope),
            Expr::CompoundIdentifier(path) => {
                if let [qualifier, name] = path.as_slice() {
                    return self.column(Some(qualifier), name, scope);
                }
            }
            _ => {}
        }
        let mut kinds = Vec::new();
        let (mut wrong, mut unknown) = (false, false);
        for part in ast::parts(expr).unwrap_or_default() {
            match self.probe(part, scope, named) {
                Typed::As(kind) => kinds.push(kind),
                Typed::Unknown => unknown = true,
                Typed::Wrong => wrong = true,
            }
        }
        if wrong {
            return Typed::Wrong;
        }
        if unknown {
            return Typed::Unknown;
        }
        if let Some((message, help)) = clash(expr, &kinds) {
            self.find(expr.span(), message, Some(help));
            return Typed::Wrong;
        }
        let planned = ExprWithAlias { expr: expr.clone(), alias: None };
        let kind = self
            .state
            .create_logical_expr_from_sql_expr(planned, scope.schema())
            .and_then(|planned| planned.get_type(scope.schema()));
        match kind {
            Ok(kind) => Typed::As(kind),
            Err(error) => {
                let (message, help) = match expr {
                    Expr::Function(function) => {
                        let kinds: Vec<&str> = kinds.iter().map(word).collect();
                        let given = if kinds.is_empty() { "nothing" } else { &kinds.join(", ") };
                        (format!("`{}` cannot be given {given}", function.name), None)
                    }
                    _ => parse::say(&error),
                };
                self.find(expr.span(), message, help);
                Typed::Wrong
            }
        }
    }

    fn column(&mut self, qualifier: Option<&Ident>, name: &Ident, scope: &Scope) -> Typed {
        match scope.find(qualifier, name) {
            Name::Column(_, kind) => Typed::As(kind),
            Name::Output => Typed::Unknown,
            Name::Trouble { span, message, help } => {
                self.find(span, message, Some(help));
                Typed::Wrong
            }
        }
    }
}

/// The table that a column is of, by its place in the FROM.
fn column_table(expr: &Expr, scope: &Scope) -> Option<usize> {
    let found = match expr {
        Expr::Identifier(name) => scope.find(None, name),
        Expr::CompoundIdentifier(path) => match path.as_slice() {
            [qualifier, name] => scope.find(Some(qualifier), name),
            _ => return None,
        },
        _ => return None,
    };
    match found {
        Name::Column(table, _) => Some(table),
        _ => None,
    }
}

fn output_name(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last(),
        _ => None,
    }
}

/// Types that do not go together, where the engine would convert in silence and fail on the rows,
/// or say it in words of its own.
fn clash(expr: &Expr, kinds: &[DataType]) -> Option<(String, String)> {
    match (expr, kinds) {
        (Expr::BinaryOp { op, .. }, [left, right]) => {
            let sides = (family(left), family(right));
            let help = "convert one side: CAST(... AS DOUBLE) or CAST(... AS VARCHAR)".to_owned();
            if ast::is_arithmetic(op) && [sides.0, sides.1].contains(&Family::Text) {
                let message = format!("`{op}` cannot work on {} and {}", word(left), word(right));
                return Some((message, help));
            }
            if ast::is_comparison(op) && !comparable(sides.0, sides.1) {
                let message = format!("{} cannot be compared with {}", word(left), word(right));
                return Some((message, help));
            }
            let logical = matches!(op, BinaryOperator::And | BinaryOperator::Or);
            let wrong =
                kinds.iter().find(|k| ![Family::Boolean, Family::Null].contains(&family(k)));
            let wrong = wrong.filter(|_| logical)?;
            let message = format!("`{op}` joins conditions, and one side is {}", word(wrong));
            Some((message, "compare it with something".to_owned()))
        }
        (Expr::InList { .. } | Expr::Between { .. }, [first, rest @ ..]) => {
            let other = rest.iter().find(|kind| !comparable(family(first), family(kind)))?;
            let message = format!("{} cannot be compared with {}", word(first), word(other));
            Some((message, "write values of the column's own type".to_owned()))
        }
        (Expr::Cast { data_type, .. }, [from]) => {
            let to = ast::data_type(data_type)?;
            if can_cast_types(from, &to) {
                return None;
            }
            let message = format!("{} cannot be converted to {}", word(from), word(&to));
            Some((message, "choose another type".to_owned()))
        }
        _ => None,
    }
}

/// Types that are alike in what can be done with them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Null,
    Text,
    Number,
    Boolean,
    Time,
    Other,
}

fn family(kind: &DataType) -> Family {
    match kind {
        DataType::Null => Family::Null,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Boolean => Family::Boolean,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Family::Time,
        kind if kind.is_numeric() => Family::Number,
        _ => Family::Other,
    }
}

/// A time may be compared with a text that says one.
fn comparable(a: Family, b: Family) -> bool {
    use Family::{Null, Other, Text, Time};
    a == b
        || [a, b].iter().any(|family| matches!(family, Null | Other))
        || matches!((a, b), (Text, Time) | (Time, Text))
}

/// A type in plain words.
fn word(kind: &DataType) -> &'static str {
    match kind {
        DataType::List(_) | DataType::LargeList(_) => "a list",
        DataType::Interval(_) | DataType::Duration(_) => "a duration",
        kind => match family(kind) {
            Family::Null => "null",
            Family::Text => "text",
            Family::Boolean => "true or false",
            Family::Time => "a time",
            Family::Number if kind.is_integer() => "a whole number",
            Family::Number => "a number",
            Family::Other => "a value of another kind",
        },
    }
}
