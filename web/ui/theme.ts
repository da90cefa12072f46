const KEY = 'trainyard-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

type Theme = 'light' | 'dark';

/** Applies the chosen theme. Without a choice, follows the theme of the system. */
export function applyTheme(): void {
  const show = () => {
    document.documentElement.dataset.theme = currentTheme();
  };
  show();
  system.addEventListener('change', show);
}

export function currentTheme(): Theme {
  const chosen = localStorage.getItem(KEY);
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return system.matches ? 'dark' : 'light';
}

export function chooseTheme(theme: Theme): void {
  localStorage.setItem(KEY, theme);
  document.documentElement.dataset.theme = theme;
}
