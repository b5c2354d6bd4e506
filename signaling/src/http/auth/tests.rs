mod admission;
mod tokens;
