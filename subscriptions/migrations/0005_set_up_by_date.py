from datetime import timedelta

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('subscriptions', '0004_services_are_packs'),
    ]

    operations = [
        # Orders that are there have thirty days from now on, however old they are: nothing closes by an update.
        migrations.AddField(
            model_name='order',
            name='closes_at',
            field=models.DateTimeField(default=django.utils.timezone.now() + timedelta(days=30), editable=False, verbose_name='set up by'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='order',
            name='date_set_at',
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(condition=models.Q(('state__in', ['placed', 'held', 'mapped'])), fields=['closes_at'], name='order_to_set_up_by_date'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('closes_at__gt', models.F('placed_at'))), name='order_closes_after_it_was_placed'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('closes_at__gt', models.F('date_set_at'))), name='order_got_a_date_that_lay_ahead'),
        ),
    ]
