//! The part of SQL's grammar that pipeline queries are made of. What is not named here is refused.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DataType as Name, DateTimeField, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, OrderByKind, Query, SetExpr, TableAlias, TableFactor, UnaryOperator, Value,
};

/// The expressions directly inside one, subqueries left out; `None` if the expression is of a kind
/// that is not allowed.
pub(super) fn parts(expr: &Expr) -> Option<Vec<&Expr>> {
    Some(match expr {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Subquery(_)
        | Expr::Exists { .. } => Vec::new(),
        Expr::Value(value) if !matches!(value.value, Value::Placeholder(_)) => Vec::new(),
        Expr::TypedString(text) if data_type(&text.data_type).is_some() => Vec::new(),
        Expr::Nested(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::InSubquery { expr: inner, .. }
        | Expr::Extract { expr: inner, .. } => vec![inner],
        Expr::UnaryOp {
            op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not,
            expr,
        } => {
            vec![expr]
        }
        Expr::Ceil { expr, field } | Expr::Floor { expr, field }
            if matches!(field, CeilFloorKind::DateTimeField(DateTimeField::NoDateTime)) =>
        {
            vec![expr]
        }
        Expr::Cast { kind, expr, data_type: to, array: false, format: None }
            if matches!(kind, CastKind::Cast | CastKind::TryCast | CastKind::DoubleColon)
                && data_type(to).is_some() =>
        {
            vec![expr]
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            vec![left, right]
        }
        Expr::BinaryOp { left, op, right }
            if is_arithmetic(op)
                || is_comparison(op)
                || matches!(
                    op,
                    BinaryOperator::And | BinaryOperator::Or | BinaryOperator::StringConcat
                ) =>
        {
            vec![left, right]
        }
        Expr::Like { any: false, expr, pattern, .. }
        | Expr::ILike { any: false, expr, pattern, .. } => vec![expr, pattern],
        Expr::Between { expr, low, high, .. } => vec![expr, low, high],
        Expr::InList { expr, list, .. } => {
            std::iter::once(expr.as_ref()).chain(list.iter()).collect()
        }
        Expr::Interval(interval) => vec![&interval.value],
        Expr::Case { operand, conditions, else_result, .. } => operand
            .iter()
            .map(AsRef::as_ref)
            .chain(conditions.iter().flat_map(|when| [&when.condition, &when.result]))
            .chain(else_result.iter().map(AsRef::as_ref))
            .collect(),
        Expr::Function(function) => arguments(function)?,
        _ => return None,
    })
}

pub(super) fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

pub(super) fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// Arguments, filter and orders of a call; `None` where it has what only other databases have.
fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    if !matches!(function.parameters, FunctionArguments::None) || function.uses_odbc_syntax {
        return None;
    }
    let mut parts = Vec::new();
    match &function.args {
        FunctionArguments::None => {}
        FunctionArguments::Subquery(_) => return None,
        FunctionArguments::List(list) => {
            for arg in &list.args {
                match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => parts.push(expr),
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
                    _ => return None,
                }
            }
            for clause in &list.clauses {
                match clause {
                    FunctionArgumentClause::OrderBy(orders) => {
                        parts.extend(orders.iter().map(|order| &order.expr));
                    }
                    FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
                    _ => return None,
                }
            }
        }
    }
    parts.extend(function.within_group.iter().map(|order| &order.expr));
    parts.extend(function.filter.iter().map(AsRef::as_ref));
    Some(parts)
}

/// The Arrow type behind a type's name, for those that may be converted to.
pub(super) fn data_type(name: &Name) -> Option<DataType> {
    Some(match name {
        Name::BigInt(_) => DataType::Int64,
        Name::Int(_) | Name::Integer(_) => DataType::Int32,
        Name::SmallInt(_) => DataType::Int16,
        Name::Double(_) | Name::DoublePrecision => DataType::Float64,
        Name::Float(_) | Name::Real => DataType::Float32,
        Name::Varchar(_) | Name::Text | Name::String(_) => DataType::Utf8,
        Name::Boolean | Name::Bool => DataType::Boolean,
        Name::Date => DataType::Date32,
        Name::Timestamp(..) => DataType::Timestamp(TimeUnit::Nanosecond, None),
        _ => return None,
    })
}

/// The query inside an expression, where there is one.
pub(super) fn subquery(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Subquery(query)
        | Expr::InSubquery { subquery: query, .. }
        | Expr::Exists { subquery: query, .. } => Some(query),
        _ => None,
    }
}

/// A name of one part.
pub(super) fn single(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Some(ident),
        _ => None,
    }
}

/// An identifier as it is looked up: lower case unless quoted.
pub(super) fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The table and the alias of a plain table, without any of the decorations of other databases.
pub(super) fn plain_table(factor: &TableFactor) -> Option<(&ObjectName, Option<&TableAlias>)> {
    match factor {
        TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
            Some((name, alias.as_ref()))
        }
        _ => None,
    }
}

/// The expressions that a query is ordered by; `None` if by something else.
pub(super) fn orders(query: &Query) -> Option<Vec<&Expr>> {
    let Some(order_by) = &query.order_by else { return Some(Vec::new()) };
    match (&order_by.kind, &order_by.interpolate) {
        (OrderByKind::Expressions(orders), None) => {
            orders.iter().map(|order| order.with_fill.is_none().then_some(&order.expr)).collect()
        }
        _ => None,
    }
}

/// A body as a query of its own.
pub(super) fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
