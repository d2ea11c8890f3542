//! t
fn main() {
    let seed: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let to: u64 = std::env::args().nth(2).unwrap_or(seed.to_string()).parse().unwrap();
    let trace = std::env::args().nth(3).is_some();
    for seed in seed..=to {
        let plan = sim::cluster::Plan::draw(seed);
        let t = std::time::Instant::now();
        let r = sim::cluster::run(&plan, &mut |s| {
            if trace {
                println!("{s}")
            }
        });
        match r {
            Ok(s) => println!(
                "{seed} ok {:?} {:.0}x ops/s {:.0} {s:?}",
                t.elapsed(),
                s.time.as_secs_f64() / t.elapsed().as_secs_f64(),
                s.answers as f64 / s.time.as_secs_f64()
            ),
            Err(e) => println!("{e}\n   {:?}", plan.features),
        }
    }
}
