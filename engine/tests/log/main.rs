//! The log engine over every driver, and its crashes over the simulated disk. One binary, because linking costs more
//! than running.

mod crash;
mod faults;
mod life;
mod rig;
mod rot;
