//! The kernel's side: the maps ([`mod@maps`]), the tables that a decision reads ([`mod@tables`]), the way to a next hop
//! ([`mod@fib`]), what is done to a packet ([`mod@act`]), and the program itself ([`mod@program`]).

mod act;
mod fib;
mod maps;
mod program;
mod tables;
mod trace;
