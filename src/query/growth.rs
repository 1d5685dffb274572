//! How long a text can become that a query makes of the texts in its rows.
//!
//! `a || a` over a part that says the same doubles with each part, and what a projection holds is in
//! nobody's account of memory. So the copies are counted before anything runs.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::{MAX_TEXT_COPIES, SqlFinding};

pub(super) fn check(plan: &LogicalPlan) -> Result<(), Vec<SqlFinding>> {
    let mut most = 1;
    columns(plan, &mut most);
    if most <= MAX_TEXT_COPIES {
        return Ok(());
    }
    Err(vec![SqlFinding {
        offset: None,
        message: format!(
            "`||` makes one text of more than {MAX_TEXT_COPIES} others, counted through all parts"
        ),
        help: Some("join each text once".to_owned()),
    }])
}

/// For each column of a plan, of how many texts it is made at most.
fn columns(plan: &LogicalPlan, most: &mut usize) -> Vec<usize> {
    let inputs: Vec<(&LogicalPlan, Vec<usize>)> =
        plan.inputs().into_iter().map(|input| (input, columns(input, most))).collect();
    let expressions: Vec<usize> =
        plan.expressions().iter().map(|expr| copies(expr, &inputs, most)).collect();
    *most = expressions.iter().copied().fold(*most, usize::max);

    let width = plan.schema().fields().len();
    let through: Vec<usize> = match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => expressions,
        LogicalPlan::Union(_) => {
            let column = |at| inputs.iter().filter_map(|(_, texts)| texts.get(at)).max().copied();
            (0..width).map(|at| column(at).unwrap_or(1)).collect()
        }
        _ => inputs.iter().flat_map(|(_, texts)| texts.iter().copied()).collect(),
    };
    if through.len() == width {
        return through;
    }
    vec![through.into_iter().max().unwrap_or(1); width]
}

fn copies(expr: &Expr, inputs: &[(&LogicalPlan, Vec<usize>)], most: &mut usize) -> usize {
    match expr {
        Expr::Column(column) => {
            let mut places = inputs.iter().filter_map(|(input, texts)| {
                texts.get(input.schema().maybe_index_of_column(column)?).copied()
            });
            let any = inputs.iter().flat_map(|(_, texts)| texts).max().copied().unwrap_or(1);
            places.next().unwrap_or(any)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            copies(left, inputs, most).saturating_add(copies(right, inputs, most))
        }
        Expr::ScalarSubquery(query) => {
            columns(&query.subquery, most).into_iter().max().unwrap_or(1)
        }
        other => {
            let mut longest = 1;
            // Nothing in the walk can fail.
            let walked = other.apply_children(|child| {
                longest = longest.max(copies(child, inputs, most));
                Ok(TreeNodeRecursion::Continue)
            });
            if walked.is_err() { usize::MAX } else { longest }
        }
    }
}
