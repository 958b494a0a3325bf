from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orgs', '0009_joined_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='domain',
            name='used_until',
            field=models.CharField(blank=True, db_default='', default='', help_text='For a former domain, if known: a year or a date, such as 2022 or 2022-06-30.', max_length=10, verbose_name='used until'),
        ),
        migrations.AlterField(
            model_name='domain',
            name='status',
            field=models.CharField(choices=[('verified', 'Verified'), ('claimed', 'Claimed'), ('former', 'Former')], default='verified', max_length=10),
        ),
        migrations.AddIndex(
            model_name='domain',
            index=models.Index(condition=models.Q(('status', 'former')), fields=['name'], name='domain_former'),
        ),
        migrations.AddConstraint(
            model_name='domain',
            constraint=models.CheckConstraint(condition=models.Q(('used_until', ''), ('status', 'former'), _connector='OR'), name='domain_used_until_is_of_a_former_one', violation_error_message='Only a former domain has a time until which it was used.'),
        ),
        migrations.AddConstraint(
            model_name='domain',
            constraint=models.CheckConstraint(condition=models.Q(('used_until__regex', '^([0-9]{4}(-[0-9]{2}){0,2})?$')), name='domain_used_until_is_a_year_or_a_date', violation_error_message='Enter a year or a date, such as 2022 or 2022-06-30.'),
        ),
    ]
