use crate::parallel::{chunks_mut, rows_per_task};
use multiversion::multiversion;

/// The angle per position of each pair of a head's entries, `[head_dim / 2]`, before any stretching.
pub fn frequencies(head_dim: usize, theta: f64) -> impl Iterator<Item = f64> {
    (0..head_dim / 2).map(move |pair| theta.powf(-(2.0 * pair as f64) / head_dim as f64))
}

/// The cosine and sine of every position's angles: `[T, head_dim]`, cosines first.
///
/// Angles are rounded to f32 before the cosine is taken, as in Hugging Face's models, whose weights were trained so.
#[must_use]
pub fn rotations(positions: &[u32], frequencies: &[f32]) -> Vec<f32> {
    let half = frequencies.len();
    let mut table = vec![0.0; positions.len() * half * 2];
    let rows = rows_per_task(half * 64);
    chunks_mut(&mut table, rows * half * 2, |task, table| {
        for (row, table) in table.chunks_mut(half * 2).enumerate() {
            let position = positions[task * rows + row] as f32;
            let (cos, sin) = table.split_at_mut(half);
            for i in 0..half {
                let (s, c) = f64::from(position * frequencies[i]).sin_cos();
                (cos[i], sin[i]) = (c as f32, s as f32);
            }
        }
    });
    table
}

/// Which way the rotation turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// By the position's angle.
    Forward,
    /// Back, which is the gradient of `Forward`.
    Backward,
}

/// Rotates every head of `x [T, heads, head_dim]` in place by `rotations [T, head_dim]`.
pub fn rope(x: &mut [f32], rotations: &[f32], heads: usize, head_dim: usize, direction: Direction) {
    let (width, half) = (heads * head_dim, head_dim / 2);
    let rows = rows_per_task(width);
    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
    chunks_mut(x, rows * width, |task, x| {
        for (row, x) in x.chunks_mut(width).enumerate() {
            let (cos, sin) = rotations[(task * rows + row) * head_dim..][..head_dim].split_at(half);
            turn(x, cos, sin, sign);
        }
    });
}

/// Rotates the heads of one token.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn turn(x: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    for head in x.chunks_mut(2 * cos.len()) {
        let (first, second) = head.split_at_mut(cos.len());
        let turns = cos.iter().zip(sin);
        for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(turns) {
            let (a, b, s) = (*first, *second, sin * sign);
            *first = a * cos - b * s;
            *second = b * cos + a * s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::uniform;

    fn table_of(head_dim: usize, divisor: f64) -> Vec<f32> {
        frequencies(head_dim, 10_000.0).map(|frequency| (frequency / divisor) as f32).collect()
    }

    #[test]
    fn backward_undoes_forward() {
        let (tokens, heads, head_dim) = (9, 3, 8);
        let x = uniform(1, tokens * heads * head_dim);
        let positions: Vec<u32> = (0..tokens as u32).map(|t| t * 7).collect();
        let table = rotations(&positions, &table_of(head_dim, 1.0));
        let mut y = x.clone();
        rope(&mut y, &table, heads, head_dim, Direction::Forward);
        assert!(x.iter().zip(&y).any(|(x, y)| (x - y).abs() > 0.1));
        rope(&mut y, &table, heads, head_dim, Direction::Backward);
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-6));
    }

    #[test]
    fn scores_depend_on_the_distance_only() {
        let head_dim = 16;
        let (q, k) = (uniform(1, head_dim), uniform(2, head_dim));
        let table = table_of(head_dim, 4.0);
        let score = |query: u32, key: u32| {
            let (mut q, mut k) = (q.clone(), k.clone());
            rope(&mut q, &rotations(&[query], &table), 1, head_dim, Direction::Forward);
            rope(&mut k, &rotations(&[key], &table), 1, head_dim, Direction::Forward);
            crate::math::dot(&q, &k)
        };
        assert!((score(9, 4) - score(105, 100)).abs() < 1e-5);
        assert!((score(9, 4) - score(9, 5)).abs() > 1e-3);
    }
}
