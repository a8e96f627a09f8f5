#[derive(Debug, Clone, Copy)]
pub enum Format { Distribution }
