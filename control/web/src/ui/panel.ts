/* The column beside the stage (over it on a phone): one panel at a time. */
import type { KcsClient } from '../client';
import { words } from '../words';
import { el, iconButton } from './dom';

export interface Panel {
    readonly title: string;
    readonly body: HTMLElement;
    update(client: KcsClient): void; /* while it is shown */
    shown?(client: KcsClient): void; /* has just been opened */
}

export class SideColumn<Name extends string> {
    readonly element: HTMLElement;
    private readonly title = el('h2', {});
    private readonly content = el('div', { class: 'panel-content' });
    private name: Name | '' = '';
    private opener: Element | null = null;

    constructor(
        private readonly panels: Record<Name, Panel>,
        private readonly onClose: () => void,
    ) {
        this.element = el(
            'aside',
            { class: 'panel', hidden: true },
            el(
                'header',
                {},
                this.title,
                iconButton('close', words.close, () => this.close()),
            ),
            this.content,
        );
        this.element.addEventListener('keydown', (event) => {
            if (event.key === 'Escape') {
                this.close();
            }
        });
    }

    get open(): Name | '' {
        return this.name;
    }

    toggle(name: Name, client: KcsClient): void {
        if (this.name === name) {
            this.close();
            return;
        }
        const panel = this.panels[name];
        this.opener = document.activeElement;
        this.name = name;
        this.title.textContent = panel.title;
        this.element.setAttribute('aria-label', panel.title);
        this.element.dataset['panel'] = name;
        this.content.replaceChildren(panel.body);
        this.element.hidden = false;
        panel.update(client);
        panel.shown?.(client);
    }

    close(): void {
        this.name = '';
        this.element.hidden = true;
        this.content.replaceChildren();
        if (this.opener instanceof HTMLElement) {
            this.opener.focus();
        }
        this.onClose();
    }

    update(client: KcsClient): void {
        if (this.name !== '') {
            this.panels[this.name].update(client);
        }
    }
}
