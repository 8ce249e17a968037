// Before anything is drawn: the colours that were chosen. Without a choice they are the system's.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem('bugle.theme'); } catch { /* storage is off */ }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
