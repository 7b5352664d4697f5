//! Landing and tidying up over a real PostgreSQL and a lake in a folder of its own.

mod commit;
mod hand_over;
mod line;
mod maintenance;
mod world;
