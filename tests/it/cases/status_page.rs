//! The status page, as a browser shows it.

use crate::{
    browser::Browser,
    client::Request,
    gate::{CHUNK, Gate},
    origin::{Origin, Script},
};

/// The text of an element.
fn text_of(id: &str) -> String {
    format!("document.getElementById('{id}').innerText")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_is_and_purges_what_is_confirmed() {
    let origin = Origin::with(Script::new(150, 4 * CHUNK)).await;
    // What an origin's URL says is text, whatever it looks like.
    let strange = "/%3Cb%3Efilm?q=%3Cimg%20src=x%3E";
    origin.put(strange, Script::new(151, CHUNK));
    let gate = Gate::guarded(&origin, "secret").await;
    gate.bytes("/film", CHUNK, 2 * CHUNK - 1).await;
    gate.get(strange).await;
    gate.until_stored(2 * CHUNK).await;
    gate.bytes("/film", CHUNK, 2 * CHUNK - 1).await;

    let mut browser = Browser::open(&format!("http://{}/", gate.admin_address())).await;
    let shown = "document.querySelectorAll('#objects tr[data-id]').length === 2";
    browser.until("the objects", shown).await;
    let serving = format!("{} === 'serving'", text_of("state"));
    browser.until("the state", &serving).await;
    let objects = browser.value(&text_of("objects")).await;
    let objects = objects.as_str().unwrap();
    assert!(objects.contains("media.test/film"), "{objects}");
    assert!(objects.to_lowercase().contains("%3cb%3efilm"), "{objects}");
    let origins = browser.value(&text_of("origins")).await;
    assert!(
        origins
            .as_str()
            .unwrap()
            .contains(&origin.address().to_string()),
        "{origins}"
    );
    let plotted = "document.querySelectorAll('#plots .curve, #plots polygon').length > 5";
    browser.until("the plots", plotted).await;
    let tiles = browser.value(&text_of("tiles")).await;
    let tiles = tiles.as_str().unwrap();
    for told in ["Hit ratio", "First byte", "3 since the start"] {
        assert!(tiles.contains(told), "{tiles}");
    }

    // One object, with its chunks as a picture.
    let film = "[...document.querySelectorAll('#objects button')].find((b) => b.innerText.endsWith('/film'))";
    browser.value(&format!("{film}.click()")).await;
    let picture = "document.querySelector('canvas.map')?.getAttribute('aria-label') === '1 of 4 chunks are present, 0 readers'";
    browser.until("the chunk map", picture).await;
    let painted = "(() => { const c = document.querySelector('canvas.map'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return new Set([...Array(d.length / 4).keys()].map((n) => d.slice(n * 4, n * 4 + 4).join())).size; })()";
    assert!(browser.value(painted).await.as_u64().unwrap() >= 3);

    // It lies under its row, and closing it goes back there.
    let under = "document.querySelector('#object').closest('tr').previousSibling.innerText.includes('/film')";
    assert_eq!(browser.value(under).await, true);
    browser
        .value("document.querySelector('#close').focus(); document.querySelector('#close').click()")
        .await;
    let back = format!("document.activeElement === {film} && !document.querySelector('#object')");
    assert_eq!(browser.value(&back).await, true);
    browser.value(&format!("{film}.click()")).await;
    browser.until("the chunk map again", picture).await;

    // Nothing is purged before it is confirmed, nor with another token.
    browser
        .value("document.querySelector('#object .buttons button').click()")
        .await;
    let asks =
        "document.getElementById('purge').open && !document.getElementById('purge-token').hidden";
    browser.until("the question", asks).await;
    let confirm = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}'; document.getElementById('purge-yes').click()"
        )
    };
    assert_eq!(browser.complaints(), [] as [String; 0]);
    browser.value(&confirm("secret")).await;
    let gone = "!document.getElementById('purge').open && document.querySelectorAll('#objects tr[data-id]').length === 1";
    browser.until("the purge", gone).await;
    let said = browser.value("document.activeElement.innerText").await;
    let said = said.as_str().unwrap();
    assert!(
        said.starts_with("Purged: media.test/film (1 object, ") && said.ends_with("KiB on disk)."),
        "{said}"
    );
    assert_eq!(browser.complaints(), [] as [String; 0]);
    browser.close().await;
    let again = gate.ask(Request::head("/film")).await;
    assert!(!again.head.cache_status().is_hit(), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_to_be_wrong() {
    let origin = Origin::with(Script::new(152, CHUNK)).await;
    let gate = Gate::guarded(&origin, "secret").await;
    gate.get("/film").await;
    gate.until_stored(CHUNK).await;
    let mut browser = Browser::open(&format!("http://{}/", gate.admin_address())).await;
    let film = "document.querySelector('#objects button')";
    browser.until("the film", &format!("{film} !== null")).await;
    browser.value(&format!("{film}.click()")).await;
    let button = "document.querySelector('#object .buttons button')";
    browser
        .until("the button", &format!("{button} !== null"))
        .await;
    browser.value(&format!("{button}.click()")).await;
    browser
        .value("document.getElementById('token').value = 'guess'; document.getElementById('purge-yes').click()")
        .await;
    let refused = format!("{}.includes('Wrong token')", text_of("purge-wrong"));
    browser.until("the refusal", &refused).await;
    assert_eq!(browser.complaints(), [] as [String; 0]);
    browser.close().await;
    assert!(
        gate.ask(Request::head("/film"))
            .await
            .head
            .cache_status()
            .is_hit()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn from_elsewhere_the_token_shows_everything_at_once() {
    let origin = Origin::with(Script::new(153, CHUNK)).await;
    let gate = Gate::guarded(&origin, "secret").await;
    gate.get("/film").await;
    gate.until_stored(CHUNK).await;
    let url = format!("http://{}/", gate.admin_address());
    let mut browser = Browser::open_as(&url, &[("X-Forwarded-For", "203.0.113.5")]).await;
    let open = "document.getElementById('enter')?.open === true";
    browser.until("the question", open).await;
    // Nothing was asked in vain, which the browser would write down as an error.
    assert_eq!(browser.complaints(), [] as [String; 0]);

    // Who leaves it can come back to it.
    browser
        .value("document.getElementById('enter').close()")
        .await;
    let locked = "!document.getElementById('locked').hidden";
    browser.until("what is lacking to be said", locked).await;
    browser
        .value("document.getElementById('unlock').click()")
        .await;
    assert_eq!(browser.value(open).await, true);

    let enter = |token: &str| {
        format!(
            "document.getElementById('enter-token').value = '{token}'; document.getElementById('enter-yes').click()"
        )
    };
    browser.value(&enter("guess")).await;
    let wrong = format!(
        "{open} && {}.includes('Wrong token')",
        text_of("enter-wrong")
    );
    browser.until("the refusal", &wrong).await;

    // However long it took to type.
    browser
        .value("new Promise((done) => setTimeout(done, 500))")
        .await;
    let began = std::time::Instant::now();
    browser.value(&enter("secret")).await;
    let shown = format!(
        "!{open} && !({locked}) && document.querySelectorAll('#objects tr[data-id]').length === 1 && {} === 'serving'",
        text_of("state")
    );
    browser.until("the objects", &shown).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    browser.close().await;
}
