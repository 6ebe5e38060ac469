// Tells when somebody who types a question has paused.
const PAUSE = 350; // milliseconds
let timer;
const isQuestion = (target) => target.matches?.('#question textarea, #question input');
document.addEventListener('input', (event) => {
  if (!isQuestion(event.target)) return;
  clearTimeout(timer);
  timer = setTimeout(() => trigger('pause'), PAUSE);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && isQuestion(event.target)) clearTimeout(timer); // it is asked for at once
  const typing = event.target.matches?.('input, textarea, select, [contenteditable]');
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
    const box = [...document.querySelectorAll('#question textarea, #question input')].find((found) => found.offsetParent);
    if (box) { event.preventDefault(); box.focus(); }
  }
});
