//! Every operation of the trainer, once, as CPU functions.
