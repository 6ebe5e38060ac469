// Buttons inside a component: what they do in the browser is done here, the rest is told to the server.
const actions = ['open', 'similar', 'back', 'turn', 'tab'];

async function copy(text) {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea'); // plain HTTP from another machine has no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

element.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-action]');
  if (!button) return;
  const data = { ...button.dataset };
  if (data.action === 'copy') {
    const label = button.textContent;
    await copy(data.text);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = label), 1500);
  } else if (data.action === 'tab') {
    const tabs = [...document.querySelectorAll('[role=tab]')];
    tabs.find((tab) => tab.textContent.trim() === data.name)?.click();
  } else if (actions.includes(data.action)) {
    trigger(data.action, data);
  }
});

// What is no button by nature, such as a point of a map, is pressed with the keyboard too.
element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && event.target.matches('[data-action]:not(button)')) event.target.dispatchEvent(
    new MouseEvent('click', { bubbles: true }));
});

// A map tells what is under the pointer.
const tell = (event) => {
  const tip = element.querySelector('.tip');
  if (!tip) return;
  const point = event.target.closest?.('[data-told]');
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = point.dataset.told;
  const frame = tip.parentElement.getBoundingClientRect();
  const spot = point.getBoundingClientRect();
  tip.style.left = `${Math.max(0, Math.min(spot.left - frame.left + 12, frame.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(0, Math.min(spot.top - frame.top + 12, frame.height - tip.offsetHeight - 4))}px`;
};
element.addEventListener('pointerover', tell);
element.addEventListener('focusin', tell);
element.addEventListener('pointerleave', () => element.querySelector('.tip')?.setAttribute('hidden', ''));

// A document opens at its passage.
const find = () => [60, 500].forEach((wait) => setTimeout(
  () => element.querySelector('.here')?.scrollIntoView({ block: 'center' }), wait)); // again when the panel is open
watch('value', find);
