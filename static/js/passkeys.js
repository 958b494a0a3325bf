/* Passkeys. A button with data-passkey ("create" or "get") asks data-options for WebAuthn's options, has the browser make
   or use a passkey, and submits its form with the answer. Without JavaScript the buttons stay hidden. */
(function () {
  function failed(button) {
    const said = document.getElementById(button.dataset.problem);
    if (said) said.hidden = false;
  }
  async function use(button) {
    const form = button.form;
    const token = form.elements.csrfmiddlewaretoken.value;
    const answer = await fetch(button.dataset.options, {
      method: "POST",
      headers: { "X-CSRFToken": token, Accept: "application/json" },
    });
    if (!answer.ok) throw new Error("no options");
    const credential = await window.webauthnJSON[button.dataset.passkey](await answer.json());
    form.elements.second_factor_credential.value = JSON.stringify(credential);
    form.noValidate = true;
    form.submit();
  }
  if (!window.PublicKeyCredential || !window.webauthnJSON) return;
  for (const button of document.querySelectorAll("button[data-passkey]")) {
    button.hidden = false;
    button.addEventListener("click", function (event) {
      event.preventDefault();
      use(button).catch(function () { failed(button); });
    });
  }
})();
