//! How large a query is once every part under WITH stands where it is used.
//!
//! The planner copies the parts: sixteen lines can read a table ten thousand times. Runs before
//! anything else sees the syntax tree, since nothing that recurses may meet a tree of any depth.

use std::ops::ControlFlow;
use std::ptr;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Select, Visit, Visitor};

use super::places::Places;
use super::{MAX_DEPTH, MAX_EXPRESSIONS, MAX_SELECTS, MAX_TABLES, SqlFinding, ast};

/// What is too much about a query, if anything is.
pub(super) fn excess(query: &Query, places: &Places<'_>) -> Option<SqlFinding> {
    let queries = vec![Inside::default()];
    let mut measure = Measure { places, queries, parts: Vec::new(), excess: None };
    // A break says no more than that the excess is found: what it carries lies on the stack once
    // for each level of the tree.
    match query.visit(&mut measure) {
        ControlFlow::Break(()) => measure.excess,
        ControlFlow::Continue(()) => None,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    depth: usize,
    expressions: usize,
    tables: usize,
    selects: usize,
}

/// A query that is being measured.
#[derive(Debug, Default)]
struct Inside {
    size: Size,
    /// How deep in this query the visit is.
    depth: usize,
    /// The parts under its WITH, so far.
    named: Vec<(String, Size)>,
    /// The name of the part that this query is, in the query around it.
    part: Option<String>,
}

struct Measure<'a> {
    places: &'a Places<'a>,
    /// From the outermost on; the first stands for the text.
    queries: Vec<Inside>,
    /// Parts that are still to be visited, by the place of their syntax tree.
    parts: Vec<(*const Query, String)>,
    excess: Option<SqlFinding>,
}

impl Measure<'_> {
    /// Something of this size stands here.
    fn add(&mut self, size: Size, table: Option<&ObjectName>) -> ControlFlow<()> {
        let around: usize = self.queries.iter().map(|query| query.depth).sum();
        let Some(query) = self.queries.last_mut() else { return ControlFlow::Continue(()) };
        let own = &mut query.size;
        own.depth = own.depth.max(query.depth.saturating_add(size.depth));
        own.expressions = own.expressions.saturating_add(size.expressions);
        own.tables = own.tables.saturating_add(size.tables);
        own.selects = own.selects.saturating_add(size.selects);
        let depth = around.saturating_add(size.depth).max(own.depth);
        let (message, help) = if depth > MAX_DEPTH {
            let help = "split it into named parts: WITH part AS (SELECT ...)";
            (format!("the query is nested deeper than {MAX_DEPTH} levels"), help)
        } else if own.expressions > MAX_EXPRESSIONS {
            let help = "each part under WITH counts as often as it is used";
            (format!("the query has more than {MAX_EXPRESSIONS} expressions"), help)
        } else if own.tables > MAX_TABLES {
            let help = "each part under WITH counts as often as it is used";
            (format!("the query reads more than {MAX_TABLES} tables"), help)
        } else if own.selects > MAX_SELECTS {
            let help = "each part under WITH counts as often as it is used";
            (format!("the query has more than {MAX_SELECTS} SELECTs"), help)
        } else {
            return ControlFlow::Continue(());
        };
        let offset = table.and_then(|name| self.places.name(name));
        self.excess = Some(SqlFinding { offset, message, help: Some(help.to_owned()) });
        ControlFlow::Break(())
    }

    fn part(&self, name: &ObjectName) -> Option<Size> {
        let name = ast::normal(ast::single(name)?);
        let named = self.queries.iter().rev().flat_map(|query| query.named.iter().rev());
        named.into_iter().find(|(part, _)| *part == name).map(|(_, size)| *size)
    }

    fn enter(&mut self, size: Size) -> ControlFlow<()> {
        if let Some(query) = self.queries.last_mut() {
            query.depth += 1;
        }
        self.add(size, None)
    }

    fn leave(&mut self) -> ControlFlow<()> {
        if let Some(query) = self.queries.last_mut() {
            query.depth -= 1;
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Measure<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let here = self.parts.iter().position(|(part, _)| ptr::eq(*part, query));
        let part = here.map(|at| self.parts.swap_remove(at).1);
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.parts.push((ptr::from_ref(named.query.as_ref()), ast::normal(&named.alias.name)));
        }
        self.queries.push(Inside { depth: 1, part, ..Inside::default() });
        self.add(Size::default(), None)
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let Some(done) = self.queries.pop() else { return ControlFlow::Continue(()) };
        match (done.part, self.queries.last_mut()) {
            (Some(name), Some(around)) => around.named.push((name, done.size)),
            _ => return self.add(done.size, None),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.add(Size { selects: 1, ..Size::default() }, None)
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let size = self.part(name).unwrap_or(Size { tables: 1, ..Size::default() });
        self.add(size, Some(name))
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.enter(Size { expressions: 1, ..Size::default() })
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.leave()
    }
}
