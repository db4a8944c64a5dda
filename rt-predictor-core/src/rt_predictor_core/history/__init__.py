"""What ended jobs have taught: state, durable record, store."""
