//! What a pipeline query may be made of, whatever its columns are: SELECTs over the declared tables,
//! allowed joins, expressions and functions.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, GroupByExpr, Join, JoinConstraint, JoinOperator,
    LimitClause, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned,
    TableFactor, Value,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::places::{Places, nearest};
use super::{MAX_COLUMNS, MAX_PATTERN_BYTES, SqlFinding, Tables, ast, functions};

/// All breaches in a query.
pub(super) fn breaches(query: &Query, tables: &Tables, places: &Places<'_>) -> Vec<SqlFinding> {
    let tables = tables.names().collect();
    let mut rules = Rules { tables, places, findings: Vec::new() };
    rules.query(query, &[]);
    rules.findings
}

struct Rules<'a> {
    tables: Vec<&'a str>,
    places: &'a Places<'a>,
    findings: Vec<SqlFinding>,
}

const JOIN: &str = "write JOIN segments AS s ON s.segment = loops.edge_id";

/// Where an expression stands, as far as aggregates care.
#[derive(Clone, Copy)]
enum Clause {
    /// Aggregates are welcome.
    Output,
    /// One row at a time: the name of the clause.
    Row(&'static str),
}

impl Rules<'_> {
    fn find(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let help: String = help.into();
        self.findings.push(SqlFinding {
            offset: self.places.range(span),
            message: message.into(),
            help: (!help.is_empty()).then_some(help),
        });
    }

    fn query(&mut self, query: &Query, named: &[String]) {
        let mut named = named.to_vec();
        if let Some(with) = &query.with {
            if with.recursive {
                let help = "a query over one window needs no recursion";
                self.find(with.span(), "WITH RECURSIVE is not allowed", help);
            }
            for part in &with.cte_tables {
                if !part.alias.columns.is_empty() || part.from.is_some() {
                    self.find(part.alias.name.span, "only `name AS (SELECT ...)` is allowed", "");
                }
                self.query(&part.query, &named);
                named.push(ast::normal(&part.alias.name));
            }
        }
        self.body(&query.body, &named);
        match ast::orders(query) {
            Some(orders) => {
                for order in orders {
                    self.expr(order, Clause::Output, &named);
                }
            }
            None => self.find(query.span(), "ORDER BY needs the columns by name", ""),
        }
        self.tail(query);
    }

    fn body(&mut self, body: &SetExpr, named: &[String]) {
        match body {
            SetExpr::Select(select) => self.select(select, named),
            SetExpr::Query(inner) => self.query(inner, named),
            SetExpr::SetOperation {
                op: SetOperator::Union,
                set_quantifier: SetQuantifier::All,
                left,
                right,
            } => {
                self.body(left, named);
                self.body(right, named);
            }
            SetExpr::SetOperation { .. } => {
                let help = "write UNION ALL, or one SELECT with CASE or GROUP BY";
                self.find(
                    body.span(),
                    "of UNION, INTERSECT and EXCEPT only UNION ALL is allowed",
                    help,
                );
            }
            _ => self.find(body.span(), "only SELECT is allowed", self.begin()),
        }
    }

    /// What may follow the body of a query.
    fn tail(&mut self, query: &Query) {
        let span = query.span();
        if query.fetch.is_some()
            || !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            self.find(span, "after the SELECT only ORDER BY and LIMIT are allowed", "");
        }
        let Some(limit) = &query.limit_clause else { return };
        match limit {
            LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
                let limits = limit.iter().chain(offset.iter().map(|offset| &offset.value));
                for value in limits.filter(|limit| !matches!(limit, Expr::Value(_))) {
                    self.find(value.span(), "LIMIT and OFFSET need a plain number", "");
                }
            }
            _ => self.find(span, "only LIMIT and OFFSET are allowed", "write LIMIT 10 OFFSET 5"),
        }
        if query.order_by.is_none() {
            let help = "add ORDER BY: without it, which rows stay is left to chance";
            self.find(limit.span(), "LIMIT without ORDER BY", help);
        }
    }

    fn select(&mut self, select: &Select, named: &[String]) {
        let decorated = select.top.is_some()
            || select.into.is_some()
            || select.exclude.is_some()
            || select.prewhere.is_some()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.select_modifiers.is_some()
            || !select.optimizer_hints.is_empty()
            || !select.lateral_views.is_empty()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || !select.named_window.is_empty();
        if decorated || matches!(select.distinct, Some(Distinct::On(_))) {
            let message = "this SELECT has a clause that is not allowed";
            let help = "allowed are DISTINCT, FROM, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT";
            self.find(select.span(), message, help);
        }
        self.from(select, named);
        if let Some(item) = select.projection.get(MAX_COLUMNS) {
            self.find(item.span(), format!("at most {MAX_COLUMNS} columns can come out"), "");
        }
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    self.expr(expr, Clause::Output, named);
                }
                SelectItem::Wildcard(options) if options.to_string().is_empty() => {}
                other => self.find(other.span(), "write the columns by name, or `*`", ""),
            }
        }
        if let Some(condition) = &select.selection {
            self.expr(condition, Clause::Row("WHERE"), named);
        }
        match &select.group_by {
            GroupByExpr::Expressions(exprs, with) if with.is_empty() => {
                for expr in exprs {
                    self.expr(expr, Clause::Row("GROUP BY"), named);
                }
            }
            other => self.find(other.span(), "GROUP BY needs the columns by name", ""),
        }
        if let Some(condition) = &select.having {
            self.expr(condition, Clause::Output, named);
        }
    }

    fn begin(&self) -> String {
        format!("write SELECT ... FROM {}", self.tables.first().unwrap_or(&"the source"))
    }

    fn from(&mut self, select: &Select, named: &[String]) {
        match select.from.as_slice() {
            [only] => {
                self.table(&only.relation, !only.joins.is_empty(), named);
                for join in &only.joins {
                    self.join(join, named);
                }
            }
            [] => self.find(select.span(), "the query reads no table", self.begin()),
            [_, second, ..] => {
                let message = "tables with a comma between them are not allowed";
                self.find(second.span(), message, JOIN);
            }
        }
    }

    fn join(&mut self, join: &Join, named: &[String]) {
        use JoinConstraint::{Natural, None, On, Using};
        use JoinOperator::{Inner, Join, Left, LeftOuter};
        self.table(&join.relation, true, named);
        let span = join.relation.span();
        match &join.join_operator {
            Join(On(on)) | Inner(On(on)) | Left(On(on)) | LeftOuter(On(on)) if !join.global => {
                self.on(on);
            }
            Join(Using(_) | Natural | None)
            | Inner(Using(_) | Natural | None)
            | Left(Using(_) | Natural | None)
            | LeftOuter(Using(_) | Natural | None) => {
                self.find(span, "JOIN needs ON", JOIN);
            }
            _ => self.find(span, "only JOIN and LEFT JOIN are allowed", JOIN),
        }
    }

    /// Equalities between columns: anything else would pair every row with every row.
    fn on(&mut self, condition: &Expr) {
        let is_column =
            |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        match condition {
            Expr::Nested(inner) => self.on(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.on(left);
                self.on(right);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
                if is_column(left) && is_column(right) => {}
            other => {
                let message = "ON takes columns that are equal, with AND between them";
                self.find(other.span(), message, "other conditions stand in WHERE");
            }
        }
    }

    fn table(&mut self, table: &TableFactor, joined: bool, named: &[String]) {
        match table {
            TableFactor::Derived { lateral: false, subquery, alias, sample: None }
                if alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) =>
            {
                if joined && alias.is_none() {
                    let help = "write (SELECT ...) AS part";
                    self.find(table.span(), "a subquery that is joined needs a name", help);
                }
                self.query(subquery, named);
            }
            other => match ast::plain_table(other) {
                Some((name, alias)) if alias.is_none_or(|alias| alias.columns.is_empty()) => {
                    let known = ast::single(name).map(ast::normal).is_some_and(|name| {
                        self.tables.contains(&name.as_str()) || named.contains(&name)
                    });
                    if known {
                        return;
                    }
                    let message = format!("there is no table `{name}` here");
                    let help = match self.tables.as_slice() {
                        [only] => format!("a pipeline query reads its own source: FROM {only}"),
                        several => format!("the tables are {}", several.join(", ")),
                    };
                    self.findings.push(SqlFinding {
                        offset: self.places.name(name),
                        message,
                        help: Some(help),
                    });
                }
                _ => {
                    let message = "table functions, files and samples are not allowed";
                    self.find(other.span(), message, self.begin());
                }
            },
        }
    }

    fn expr(&mut self, expr: &Expr, clause: Clause, named: &[String]) {
        let mut inner = clause;
        if let Expr::Function(function) = expr {
            if !self.function(function, clause) {
                return;
            }
            if function_name(function).is_some_and(|name| functions::is_aggregate(&name)) {
                inner = Clause::Row("another aggregate");
            }
        }
        if let Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } = expr
            && !is_short_text(pattern)
        {
            let message =
                format!("LIKE takes a pattern in quotes, at most {MAX_PATTERN_BYTES} bytes long");
            self.find(pattern.span(), message, "");
        }
        let Some(parts) = ast::parts(expr) else {
            let (message, help) = match expr {
                Expr::Cast { .. } | Expr::TypedString(_) => (
                    "this type is not allowed in pipeline SQL",
                    "types are BIGINT, INT, SMALLINT, DOUBLE, FLOAT, VARCHAR, BOOLEAN, DATE and \
                     TIMESTAMP",
                ),
                _ => ("this expression is not allowed in pipeline SQL", ""),
            };
            self.find(expr.span(), message, help);
            return;
        };
        for part in parts {
            self.expr(part, inner, named);
        }
        if let Some(query) = ast::subquery(expr) {
            self.query(query, named);
        }
    }

    /// Whether the function may be called here; what is wrong with it otherwise is found.
    fn function(&mut self, function: &Function, clause: Clause) -> bool {
        let span = function.name.span();
        let Some(name) = function_name(function) else {
            self.find(span, format!("there is no function `{}`", function.name), "");
            return false;
        };
        if functions::NOT_REPEATABLE.contains(&name.as_str()) {
            let message = format!("`{name}` gives another answer each time");
            let help =
                "use the event time of the rows: the same recording must give the same result";
            self.find(span, message, help);
            return false;
        }
        if !functions::is_allowed(&name) {
            let known = functions::AGGREGATES.iter().chain(functions::SCALARS).copied();
            let help = match nearest(&name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("aggregates are {}", functions::AGGREGATES.join(", ")),
            };
            self.find(span, format!("there is no function `{name}` in pipeline SQL"), help);
            return false;
        }
        if function.over.is_some() {
            let message = "OVER is not allowed: a query sees the rows of one window as they are";
            self.find(span, message, "use GROUP BY");
            return false;
        }
        if let (Clause::Row(place), true) = (clause, functions::is_aggregate(&name)) {
            let help = match place {
                "WHERE" => "conditions on aggregates stand in HAVING",
                _ => "compute the inner one first: FROM (SELECT ...)",
            };
            self.find(span, format!("the aggregate `{name}` cannot stand in {place}"), help);
            return false;
        }
        true
    }
}

fn function_name(function: &Function) -> Option<String> {
    ast::single(&function.name).map(ast::normal)
}

fn is_short_text(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    matches!(&value.value, Value::SingleQuotedString(text) if text.len() <= MAX_PATTERN_BYTES)
}
