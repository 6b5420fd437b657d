//! The kernel's side: the maps ([`mod@maps`]), the tables that a decision reads ([`mod@tables`]), the way to a next hop
//! ([`mod@fib`]), the tables of flows ([`mod@flows`]), what is done to a packet ([`mod@act`]), the parts of the whole road as
//! functions of their own ([`mod@stages`]), and the program itself ([`mod@program`]).

mod act;
mod fib;
mod flows;
mod maps;
mod program;
mod stages;
mod tables;
mod trace;
