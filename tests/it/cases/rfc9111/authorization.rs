//! Requests with `Authorization` (RFC 9111, section 3.5).

use super::exchange::{Step, case, get, play};

fn authorized() -> Step {
    get().field("Authorization", "Basic YTpi")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_for_one_user_are_not_stored_unless_allowed() {
    play(
        [
            "max-age=600",
            "max-age=600, proxy-revalidate",
            "max-age=600, immutable",
        ]
        .map(|control| {
            let first = authorized()
                .controls(control)
                .sends("Authorization", "Basic YTpi");
            case(control, [first, authorized().asks(), get().asks()])
        }),
    )
    .await;
    play(
        [
            "public, max-age=600",
            "s-maxage=600",
            "max-age=600, must-revalidate",
        ]
        .map(|control| {
            let first = authorized()
                .controls(control)
                .sends("Authorization", "Basic YTpi");
            case(control, [first, authorized().hits(), get().hits()])
        }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_all_is_for_users_too() {
    let first = get().controls("max-age=600").asks();
    play([case("stored without", [first, authorized().hits()])]).await;
}
