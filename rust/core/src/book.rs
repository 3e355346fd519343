//! Order books and the machine that keeps them true.
