// Handles clicks on the citation numbers in an answer.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href*="#cite-"]');
  if (!link) return;
  event.preventDefault();
  const [turn, number] = link.getAttribute('href').split('#cite-')[1].split('-');
  trigger('cite', { turn, number });
});
