//! One file, many variants: every string `$name`, `$name / 2` or `$name * 3` is replaced by the value of the variant.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// The most variants of one file.
pub(super) const MAX_VARIANTS: usize = 200;

/// Every combination of the matrix' values, those of the first names changing slowest.
pub(super) fn combinations(matrix: &Table) -> Result<Vec<BTreeMap<String, Value>>, String> {
    let mut combinations = vec![BTreeMap::new()];
    for (name, values) in matrix {
        let values = values.as_array().filter(|values| !values.is_empty());
        let values =
            values.ok_or_else(|| format!("matrix.{name} has to be a list with at least one value"))?;
        if combinations.len() * values.len() > MAX_VARIANTS {
            return Err(format!("the matrix has more than {MAX_VARIANTS} combinations"));
        }
        let with = |before: &BTreeMap<String, Value>, value: &Value| {
            let mut combination = before.clone();
            combination.insert(name.clone(), value.clone());
            combination
        };
        combinations = combinations
            .iter()
            .flat_map(|before| values.iter().map(move |value| with(before, value)))
            .collect();
    }
    Ok(combinations)
}

/// Fills in a variant's values everywhere in `value`.
pub(super) fn fill_in(value: &mut Value, variant: &BTreeMap<String, Value>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if let Some(expression) = text.strip_prefix('$') {
                *value = evaluate(expression, variant)?;
            }
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| fill_in(value, variant)),
        Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| fill_in(value, variant)),
        _ => Ok(()),
    }
}

fn evaluate(expression: &str, variant: &BTreeMap<String, Value>) -> Result<Value, String> {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let (name, operation) = match words[..] {
        [name] => (name, None),
        [name, operator @ ("*" | "/"), number] => (name, Some((operator, number))),
        _ => {
            return Err(format!(
                "\"${expression}\" is neither \"$name\" nor \"$name * number\" nor \"$name / number\""
            ));
        }
    };
    let value = variant.get(name).ok_or_else(|| format!("\"${expression}\": the matrix has no {name}"))?;
    let Some((operator, number)) = operation else { return Ok(value.clone()) };
    let factor: f64 = number.parse().map_err(|_| format!("\"${expression}\": {number} is not a number"))?;
    let number = value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64));
    let number = number.ok_or_else(|| format!("\"${expression}\": {name} is not a number"))?;
    let result = if operator == "*" { number * factor } else { number / factor };
    let is_whole = value.is_integer() && result.fract() == 0.0;
    Ok(if is_whole { Value::Integer(result as i64) } else { Value::Float(result) })
}
