//! The main job from end to end on real servers: the operator is installed by Helm, the examples are applied
//! unchanged, images are pushed, pulled and deleted, and reports answer. The demo prints it; the end-to-end
//! test checks it.

mod files;
pub mod operator;
pub mod proxy;
mod report;
mod steps;

pub use files::{chart, example, operator_binary};
pub use report::{Report, report};
pub use steps::{
    APPLICATION, CLIENT_ADDRESS, HOME, NAMESPACE, REPOSITORY, Story, TOKEN, WEBHOOK_PATH, push_operator_image,
};
