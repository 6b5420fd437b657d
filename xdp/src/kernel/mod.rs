//! The kernel's side: the maps ([`mod@maps`]), the tables that a decision reads ([`mod@tables`]), the way to a next hop
//! ([`mod@fib`]), what is done to a packet ([`mod@act`]), the parts of the whole road as
//! functions of their own ([`mod@stages`]), and the program itself ([`mod@program`]).

mod act;
mod fib;
mod maps;
mod program;
mod stages;
mod tables;
mod trace;
