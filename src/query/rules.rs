//! What a pipeline query may be made of, whatever its columns are: one SELECT over one table,
//! allowed expressions and functions, no deeper than the engine can bear.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, LimitClause, Query, Select, SelectItem, SetExpr,
    Spanned, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::places::{Places, nearest};
use super::{MAX_DEPTH, SqlFinding, ast, functions};

/// All breaches in a query. One of depth stands alone: nothing that recurses may see the rest.
pub(super) fn breaches(query: &Query, table: &str, places: &Places<'_>) -> Vec<SqlFinding> {
    if query.visit(&mut Depth(0)).is_break() {
        return vec![SqlFinding {
            offset: None,
            message: format!("the query is nested deeper than {MAX_DEPTH} levels"),
            help: Some("split it into named parts: WITH part AS (SELECT ...)".to_owned()),
        }];
    }
    let mut rules = Rules { table, places, findings: Vec::new() };
    rules.query(query, &[]);
    rules.findings
}

/// Counts expressions and queries inside one another, and turns back at the limit.
struct Depth(usize);

impl Depth {
    fn enter(&mut self) -> ControlFlow<()> {
        self.0 += 1;
        if self.0 > MAX_DEPTH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn leave(&mut self) -> ControlFlow<()> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }
}

impl Visitor for Depth {
    type Break = ();
    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.enter()
    }
    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.leave()
    }
    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.enter()
    }
    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.leave()
    }
}

struct Rules<'a> {
    table: &'a str,
    places: &'a Places<'a>,
    findings: Vec<SqlFinding>,
}

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
        match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, &named),
            SetExpr::Query(inner) => self.query(inner, &named),
            SetExpr::SetOperation { .. } => {
                let help = "write one SELECT; CASE or GROUP BY can often do the same";
                self.find(query.body.span(), "UNION, INTERSECT and EXCEPT are not allowed", help);
            }
            _ => self.find(query.body.span(), "only SELECT is allowed", self.begin()),
        }
        match ast::orders(query) {
            Some(orders) => {
                orders.into_iter().for_each(|order| self.expr(order, Clause::Output, &named))
            }
            None => self.find(query.span(), "ORDER BY needs the columns by name", ""),
        }
        self.tail(query);
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
        format!("write SELECT ... FROM {}", self.table)
    }

    fn from(&mut self, select: &Select, named: &[String]) {
        let [only] = select.from.as_slice() else {
            let message = match select.from.len() {
                0 => "the query reads no table",
                _ => "the query reads several tables; a pipeline query reads its own source alone",
            };
            self.find(select.span(), message, self.begin());
            return;
        };
        if let Some(join) = only.joins.first() {
            let message = "JOIN is not allowed: a pipeline query reads its own source alone";
            self.find(join.span(), message, self.begin());
        }
        match &only.relation {
            TableFactor::Derived { lateral: false, subquery, alias, sample: None }
                if alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) =>
            {
                self.query(subquery, named);
            }
            other => match ast::plain_table(other) {
                Some((name, alias)) if alias.is_none_or(|alias| alias.columns.is_empty()) => {
                    let known = ast::single(name).map(ast::normal);
                    if known.is_some_and(|name| name == self.table || named.contains(&name)) {
                        return;
                    }
                    let message = format!("there is no table `{name}` here");
                    let help =
                        format!("a pipeline query reads its own source: FROM {}", self.table);
                    self.find(name.span(), message, help);
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
