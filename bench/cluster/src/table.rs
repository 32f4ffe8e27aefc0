//! What is printed.

use crate::load::{Load, Outcome};

/// One load, and what both made of it.
pub struct Row {
    pub load: Load,
    pub ours: Outcome,
    pub rival: Option<Outcome>,
}

fn milliseconds(outcome: &Outcome, quantile: f64) -> f64 {
    outcome.latencies.value_at_quantile(quantile) as f64 / 1000.0
}

fn figures(outcome: &Outcome) -> String {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| milliseconds(outcome, quantile));
    format!("{:>8.0} | {p50:>7.2} | {p99:>7.2} | {p999:>7.2}", outcome.per_second)
}

impl Row {
    fn ratio(&self) -> (String, String) {
        match &self.rival {
            Some(rival) => (
                format!("{:.2}", self.ours.per_second / rival.per_second),
                format!("{:.2}", milliseconds(&self.ours, 0.99) / milliseconds(rival, 0.99)),
            ),
            None => ("-".to_string(), "-".to_string()),
        }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let Load { work, clients, .. } = self.load;
        let rival = self.rival.as_ref().map_or_else(|| "- | - | - | -".to_string(), figures);
        let (throughput, p99) = self.ratio();
        let work = format!("{work:?}").to_lowercase();
        format!("| {work} | {clients} | {} | {rival} | {throughput} | {p99} |", figures(&self.ours))
    }
}

/// All lines, as Markdown. Throughput is in operations a second, latencies are in milliseconds.
pub fn table(rows: &[Row], rival: &str) -> String {
    let head = format!(
        "| | clients | ours/s | p50 | p99 | p999 | {rival}/s | p50 | p99 | p999 | ours : {rival} | p99 |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    format!("{head}\n{}", lines.join("\n"))
}
